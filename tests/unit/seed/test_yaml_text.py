"""What people write in YAML arrives as they wrote it, and what would explode is refused."""

import json
from typing import Any

import pytest

from launcher.seed.yaml_text import MAX_DEPTH, NotAcceptedError, parse


@pytest.mark.parametrize(
    "word",
    [
        # Base 60 in YAML 1.1.
        "52:54:00:12:34:56",
        "22:22",
        "190:20:30.15",
        # Booleans in YAML 1.1.
        "no", "NO", "yes", "Yes", "on", "off", "y", "n",
        # Numbers that JSON would write otherwise, so that something of them would be lost.
        "1.10", "0755", "0o17", "022", "0x1F", "0b11", "1_000", "+1", "-0", "1e3", "1E3", ".5",
        "1.", "1e400", "9" * 5000, "\u0663",
        # Dates and the rest of YAML 1.1's zoo.
        "2026-01-02", "2026-01-02T03:04:05Z", ".inf", "-.INF", ".NaN", "=", "<<", "nul", "tRUE",
        # Versions, addresses, paths, keys.
        "1.2.3", "10.0.0.0/8", "::1", "/dev/vda", "ssh-ed25519 AAAA user@host",
    ],
)  # fmt: skip
def test_word_stays_text(word: str) -> None:
    assert parse(f"key: {word}\n".encode()) == {"key": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True), ("True", True), ("TRUE", True),
        ("false", False), ("False", False), ("FALSE", False),
        ("null", None), ("Null", None), ("NULL", None), ("~", None), ("", None),
        ("0", 0), ("-7", -7), ("123", 123), ("1.5", 1.5), ("-0.25", -0.25), ("1.0", 1.0),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)  # fmt: skip
def test_word_with_a_meaning(word: str, value: Any) -> None:
    got = parse(f"key: {word}\n".encode())
    assert got == {"key": value}
    assert isinstance(got, dict)
    assert type(got["key"]) is type(value)


@pytest.mark.parametrize(
    "text",
    ["'1'", '"true"', "!!str 1", "! 1", "|-\n  1", ">-\n  true", '"\\u00e9"', "é"],
)
def test_quoted_text_is_text(text: str) -> None:
    got = parse(f"key: {text}\n".encode())
    assert isinstance(got, dict)
    assert isinstance(got["key"], str)


def test_keys_are_text_as_written() -> None:
    assert parse(b"on: 1\n22: 2\n22:22: 3\nnull: 4\n~: 5\n1.10: 6\n") == {
        "on": 1,
        "22": 2,
        "22:22": 3,
        "null": 4,
        "~": 5,
        "1.10": 6,
    }


def test_structure() -> None:
    text = b"""\
# metadata
a: {b: [1, no, {c: d}], e: {}}
f:
- - x
  - y: |
      #!/bin/sh
      echo 1.10
"""
    assert parse(text) == {
        "a": {"b": [1, "no", {"c": "d"}], "e": {}},
        "f": [["x", {"y": "#!/bin/sh\necho 1.10\n"}]],
    }


@pytest.mark.parametrize(
    "value",
    [{}, {"a": [1, 1.5, -3, True, None, "x", {"b": "é\u2028"}]}, [], "text", 3, None],
)
def test_json_is_taken_as_it_is(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value
    assert parse(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value


def test_numbers_in_json_are_numbers_in_every_form() -> None:
    for text in (b'{"a": 1.10, "b": 1e3}', b'\xef\xbb\xbf{"a": 1.10, "b": 1e3}'):
        assert parse(text) == {"a": 1.1, "b": 1000.0}


@pytest.mark.parametrize("text", [b"", b"\n", b"# only a comment\n", b"---\n", b"--- \n...\n"])
def test_nothing_is_null(text: bytes) -> None:
    assert parse(text) is None


def bomb() -> bytes:
    """Expands to 9^9 words in a reader that follows aliases."""
    lines = ['a0: &a0 ["x","x","x","x","x","x","x","x","x"]']
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3 has the key 'a' for the second time"),
        (b"a:\n  b: 1\n  b: 2\n", "line 3 has the key 'b'"),
        (b"{a: 1, 'a': 2}", "the key 'a' for the second time"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' twice"),
        (bomb(), "line 1 has an anchor"),
        (b"a: &x 1\n", "line 1 has an anchor"),
        (b"a: &x {b: 1}\n", "line 1 has an anchor"),
        (b"&x a: 1\n", "line 1 has an anchor"),
        (b"\na: *x\n", "line 2 has an alias"),
        (b"a: 1\n*x : 2\n", "line 2 has a key that is"),
        (b"<<: *x\n", "line 1 has an alias"),
        (b"a: !!python/object/apply:os.system ['true']\n", "line 1 has an anchor or a tag"),
        (b"a: !!binary aGk=\n", "line 1 has an anchor or a tag"),
        (b"a: !!int '1'\n", "line 1 has an anchor or a tag"),
        (b"a: !local {}\n", "line 1 has an anchor or a tag"),
        (b"!!set {a, b}\n", "line 1 has an anchor or a tag"),
        (b"!!int 1: 2\n", "line 1 has an anchor or a tag"),
        (b"? [a]\n: 1\n", "line 1 has a key that is"),
        (b"? {a: b}\n: 1\n", "line 1 has a key that is"),
        (b"'': 1\n", "line 1 has a key that is"),
        (b"a: 1\n---\nb: 2\n", "line 2 starts a second document"),
        (b"a: b: c\n", "line 1: mapping values are not allowed"),
        (b"a:\n\t- b\n", "line 2: found character"),
        (b"a: [1, 2\n", "line 2: expected"),
        (b'a: "x\n', "line 2: found unexpected end"),
        (b"a: \x00\n", "line 1: special characters"),
        (b"a: 1\nb: \xff\n", "line 2 is not UTF-8"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b"[" * 20_000, "deeper than 32"),
        (b"- " * 20_000 + b"x", "deeper than 32"),
        (b'{"a":' * 20_000, "deeper than 32"),
        (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", "deeper than 32"),
        (b"a: " + b"[" * 32 + b"]" * 32, "deeper than 32"),
    ],
)
def test_refused(text: bytes, why: str) -> None:
    with pytest.raises(NotAcceptedError) as error:
        parse(text)
    assert why in str(error.value)


@pytest.mark.parametrize("start", [b"a: ", b'{"a": '], ids=["YAML", "JSON"])
def test_deepest_nesting(start: bytes) -> None:
    """The other side of the bound above."""
    inner = MAX_DEPTH - 1
    end = b"}" if start.startswith(b"{") else b""
    assert parse(start + b"[" * inner + b"]" * inner + end)


def test_no_time_is_lost_on_hostile_text() -> None:
    """Each of these takes seconds, or all memory, in a reader that builds before it looks."""
    for text in (bomb(), b"[" * 200_000, b"{" * 200_000, b"- " * 100_000):
        with pytest.raises(NotAcceptedError):
            parse(text)
