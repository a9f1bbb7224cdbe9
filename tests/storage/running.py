"""A VM that runs, as far as changes to its disk are concerned; QEMU's part is qemu-img's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from launcher.disk import request
from launcher.disk.snapshot import listing
from launcher.host.errors import LauncherError
from launcher.life import changes
from launcher.life.changes import Changes
from launcher.life.monitor import Monitor
from launcher.life.state import Phase, State
from tests.storage.pet_volumes import Volumes
from tests.storage.qcow2 import run

T = TypeVar("T")


class Qemu(Monitor):
    """Takes snapshots as QEMU does; `fails` is what it says instead."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.fails = ""
        self.takes = 0.0

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        assert arguments
        assert arguments["device"] == "pet"
        await asyncio.sleep(self.takes)
        if self.fails:
            raise LauncherError(self.fails)
        flag = {changes.CREATE: "-c", changes.DELETE: "-d"}[command]
        run("qemu-img", "snapshot", flag, str(arguments["name"]), self.disk)
        return {}


@asynccontextmanager
async def without_agent() -> AsyncIterator[str]:
    yield "no guest agent answers"


class Running:
    """A VM that runs, as far as `Changes` sees it."""

    def __init__(self, made: Volumes) -> None:
        self.made = made
        self.qemu = Qemu(made.disk)
        self.at_rest = without_agent
        self.phase = Phase.RUNNING
        self.stops: list[request.Request | None] = []

    def do(self, work: Callable[[Changes], Awaitable[T]]) -> T:
        async def all_of_it() -> T:
            return await work(
                Changes(
                    self.qemu,
                    self.at_rest,
                    self.made.place,
                    lambda: State(self.phase, 0),
                    # What is to be done has to be written down by then.
                    lambda: self.stops.append(request.load(self.made.place)),
                )
            )

        return asyncio.run(all_of_it())

    def names(self) -> list[str]:
        return [each.name for each in listing.look(self.made.place)]
