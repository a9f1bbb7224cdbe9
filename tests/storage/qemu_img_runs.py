"""What holds for each run of qemu-img, whatever it is for: no format is probed, and it is bounded.

A guest writes what it likes to the beginning of its disk. Who probes that finds an image of the
guest's making there, with a backing file of its choice.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from launcher.host import process

# The options that each image on the command line has its format by.
FORMATS = {
    "check": ["-f"],
    "compare": ["-f", "-F"],
    "convert": ["-f", "-O"],
    "create": ["-f"],
    "measure": ["-f", "-O"],
    "rebase": ["-f", "-F"],
    "resize": ["-f"],
    "snapshot": ["--image-opts"],
}


def problems(argv: Sequence[str]) -> list[str]:
    """What is wrong with a command line of qemu-img's."""
    wanted = FORMATS[argv[1]] + (["-F"] if argv[1] == "create" and "-b" in argv else [])
    found = [f"it has no {each}" for each in wanted if each not in argv]
    if "--image-opts" in argv:
        image = argv[argv.index("--image-opts") + 1]
        found += [] if "driver=qcow2,file.driver=file," in image else [f"{image} has no driver"]
    return found


@contextmanager
def watched() -> Iterator[None]:
    """Fail the test in which the launcher starts a qemu-img that may guess, or run for ever."""
    run, spawn = process.run, process.spawn

    def look(argv: Sequence[str], limits: process.Limits | None) -> None:
        found = problems(argv)
        if limits is None or not limits.address_space or not limits.cpu_seconds:
            found.append("it has no limits")
        if found:
            pytest.fail(f"{' '.join(argv)}: {', '.join(found)}")

    def watched_run(argv: Sequence[str], **given: Any) -> process.Result:
        if argv[0] == "qemu-img":
            look(argv, given.get("limits"))
            assert given.get("timeout"), f"{' '.join(argv)} has no time limit"
        return run(argv, **given)

    def watched_spawn(name: str, argv: Sequence[str], **given: Any) -> Any:
        if argv[0] == "qemu-img":
            look(argv, given.get("limits"))
        return spawn(name, argv, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "run", watched_run)
        patch.setattr(process, "spawn", watched_spawn)
        yield
