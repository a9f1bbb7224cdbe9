"""Which names a snapshot may have, and that all that is wrong is said at once."""

import pytest

from launcher.disk.snapshot import name


@pytest.mark.parametrize("good", ["before-upgrade", "a", "1a", "v1.2_rc-3", "x" * 63])
def test_good_names(good: str) -> None:
    assert name.check(good) == good


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", ["it is empty"]),
        ("17", ["it is a number"]),
        ("-a", ["does not begin with a letter or a digit"]),
        (".export-x", ["does not begin with a letter or a digit"]),
        ("a b,c", ["it has ' ' ','; letters"]),
        ("größe", ["it has 'ß' 'ö'; letters"]),
        ("x" * 64, ["it has 64 characters"]),
        ("_" * 64 + "/", ["65 characters", "it has '/'", "does not begin"]),
    ],
)
def test_bad_names(bad: str, words: list[str]) -> None:
    found = name.problems(bad)
    assert len(found) == len(words)
    for problem, each in zip(found, words, strict=True):
        assert each in problem
    with pytest.raises(ValueError, match="no name for a snapshot"):
        name.check(bad)


def test_names_of_our_own() -> None:
    assert name.before_restore(0) == "before-restore-19700101T000000Z"
    assert not name.problems(name.before_restore(0))
    assert name.of_export(0, lambda: "ab12") == ".export-19700101T000000Z-ab12"
    # Two within a second.
    assert name.of_export(0) != name.of_export(0)
    assert name.is_of_export(name.of_export(0))
    # No user's snapshot is taken for one that an export left.
    assert name.problems(name.of_export(0))
