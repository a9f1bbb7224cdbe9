"""How failures read, and the exit code of each kind."""

import pytest

from launcher.host import errors
from launcher.host.errors import CommandFailed, LauncherError, SettingsError


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (LauncherError, 70),
        (errors.InputMissing, 66),
        (errors.ImageRefused, 65),
        (errors.SourceUnavailable, 69),
        (errors.StorageError, 74),
        (errors.Busy, 75),
        (errors.RightMissing, 77),
    ],
)
def test_exit_codes(kind: type[LauncherError], exit_code: int) -> None:
    assert kind("it failed").exit_code == exit_code


def test_every_kind_is_in_the_table_above_and_has_its_own_code() -> None:
    kinds: list[type[LauncherError]] = [LauncherError, *LauncherError.__subclasses__()]
    ours = [kind for kind in kinds if kind.__module__ == errors.__name__]
    codes = [kind.exit_code for kind in ours if kind is not CommandFailed]
    assert sorted(codes) == [65, 66, 69, 70, 73, 74, 75, 77, 78]


def test_hint() -> None:
    assert str(LauncherError("it failed")) == "it failed"
    assert str(LauncherError("it failed", hint="mend it")) == "it failed (hint: mend it)"


def test_one_problem_and_several() -> None:
    assert str(SettingsError(["A is wrong"])) == "a setting is wrong:\n  - A is wrong"
    both = SettingsError(["A is wrong", "B too"])
    assert str(both) == "2 settings are wrong:\n  - A is wrong\n  - B too"
    assert both.problems == ("A is wrong", "B too")
    assert both.exit_code == 78


@pytest.mark.parametrize(
    ("status", "stderr", "text"),
    [
        (3, "no space\n", "qemu-img exited 3: no space"),
        (-9, "", "qemu-img died of signal 9: it said nothing"),
    ],
)
def test_command_that_failed(status: int, stderr: str, text: str) -> None:
    failed = CommandFailed(["qemu-img", "info", "--secret=x"], status, stderr)
    assert str(failed) == text
    assert (failed.status, failed.argv) == (status, ("qemu-img", "info", "--secret=x"))
    assert failed.exit_code == 70
