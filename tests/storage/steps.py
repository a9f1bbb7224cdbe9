"""The order in which files are synced and named: all that counts when the power is cut."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from launcher.host import process

# What `tempfile` makes up.
RANDOM = re.compile(r"\.[a-z0-9_]{8}\.part$")


class Steps(list[str]):
    """What was done, in words; a file by its name at that moment, and `folder` for the one that all
    of them are in."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def note(self, verb: str, *paths: object) -> None:
        known = [Path(str(each)) for each in paths]
        if self._folder in {known[0], known[0].parent}:
            names = ["folder" if each == self._folder else each.name for each in known]
            self.append(" ".join([verb, *(RANDOM.sub(".part", each) for each in names)]))


@contextmanager
def recorded(folder: Path) -> Iterator[Steps]:
    """The steps in `folder`, until the end of the context: syncs, names, and runs of qemu-img."""
    steps = Steps(folder)

    def of_file(verb: str, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            # What is not carried out is not a step.
            real(fd)
            steps.note(verb, Path(f"/proc/self/fd/{fd}").readlink())

        return call

    def of_names(verb: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*paths: object, **others: Any) -> None:
            real(*paths, **others)
            steps.note(verb, *paths)

        return call

    def of_program(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **others: Any) -> Any:
            argv = next(each for each in given if isinstance(each, list))
            steps.append(" ".join(argv[:2]))
            return real(*given, **others)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, of_file("sync", getattr(os, name)))
        for name in ("rename", "replace"):
            patch.setattr(os, name, of_names("rename", getattr(os, name)))
        for name in ("link", "unlink"):
            patch.setattr(os, name, of_names(name, getattr(os, name)))
        for name in ("run", "spawn"):
            patch.setattr(process, name, of_program(getattr(process, name)))
        yield steps
