"""What can go wrong, by what the caller or the person reading the log would do about it.

::

    LauncherError          70  a fault of ours, or QEMU's own failure in its own words
     ├─ SettingsError      78  the environment has to be corrected
     ├─ InputMissing       66  a file or a disk that was promised is not there
     ├─ ImageRefused       65  the image is not one we may run
     ├─ SourceUnavailable  69  the network or the server; trying again may help
     ├─ StorageError       74  reading or writing failed
     ├─ AlreadyThere       73  something has that name; nothing is overwritten
     ├─ Busy               75  somebody else holds the pet
     ├─ RightMissing       77  the container lacks a right, which is named
     └─ CommandFailed      70  a program we called failed and nobody knew better

The numbers are those of BSD's sysexits.h.
"""

import os
from collections.abc import Sequence
from typing import ClassVar


class LauncherError(Exception):
    """A failure that is explained to a person: what happened, and what to do (`hint`)."""

    exit_code: ClassVar[int] = os.EX_SOFTWARE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (hint: {self.hint})" if self.hint else self.message


class SettingsError(LauncherError):
    """One or more settings are wrong; `problems` has a finished sentence for each."""

    exit_code = os.EX_CONFIG

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = "a setting is wrong" if count == 1 else f"{count} settings are wrong"
        super().__init__("\n  - ".join([f"{title}:", *self.problems]))


class InputMissing(LauncherError):
    exit_code = os.EX_NOINPUT


class ImageRefused(LauncherError):
    exit_code = os.EX_DATAERR


class SourceUnavailable(LauncherError):
    exit_code = os.EX_UNAVAILABLE


class StorageError(LauncherError):
    exit_code = os.EX_IOERR


class AlreadyThere(LauncherError):
    exit_code = os.EX_CANTCREAT


class Busy(LauncherError):
    exit_code = os.EX_TEMPFAIL


class RightMissing(LauncherError):
    exit_code = os.EX_NOPERM


class CommandFailed(LauncherError):
    """A program ended with a status that was not expected.

    `status` is the exit status, negative for a signal; `stderr` is what it said.
    """

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr.strip()
        ending = f"died of signal {-status}" if status < 0 else f"exited {status}"
        super().__init__(f"{argv[0]} {ending}: {self.stderr or 'it said nothing'}")


def by_code(code: int) -> type[LauncherError]:
    """The kind of failure that has this exit code, of those that a message and a hint make up."""
    kinds = (InputMissing, ImageRefused, SourceUnavailable, StorageError, AlreadyThere, Busy)
    return {each.exit_code: each for each in (*kinds, RightMissing)}.get(code, LauncherError)
