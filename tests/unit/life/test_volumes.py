"""Looks at volumes that hang, as a network file system does."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.disk import space
from launcher.disk.space import Backing, Space
from launcher.life import volumes
from launcher.life.volumes import Volumes

FOUND = Space(Path("/pet/a.qcow2"), 1, 2, 3)
PET = Backing(FOUND.path, 10, "raw")


class Storage:
    """One that may hang. `looks` is how often it was looked at."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.looks = 0

    def look(self, backing: Backing) -> Space | None:
        self.looks += 1
        self.answers.wait(30)
        return FOUND if backing is PET else None


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    made = Storage()
    monkeypatch.setattr(space, "look", made.look)
    yield made
    made.answers.set()


def test_what_is_known(storage: Storage) -> None:
    storage.answers.set()
    assert asyncio.run(Volumes({"pet": PET}).space("pet")) == FOUND


def test_a_node_that_is_not_ours(storage: Storage) -> None:
    assert asyncio.run(Volumes({"pet": PET}).space("cd0")) is None
    assert storage.looks == 0


def test_one_that_hangs_is_looked_at_once(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "PATIENCE", 0.01)

    async def look() -> list[Space | None]:
        found = Volumes({"pet": PET})
        seen = [await found.space("pet") for _ in range(5)]
        storage.answers.set()
        while (late := await found.space("pet")) is None:
            pass
        return [*seen, late]

    assert asyncio.run(look()) == [None] * 5 + [FOUND]
    assert storage.looks == 1


def test_nobody_waits_for_it_at_the_end(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "PATIENCE", 0.01)
    begun = time.monotonic()
    assert asyncio.run(Volumes({"pet": PET}).space("pet")) is None
    assert time.monotonic() - begun < 5
