"""What the control socket's commands do to the disk of a VM that runs."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from launcher.disk import pet, request
from launcher.disk.request import Restore
from launcher.disk.snapshot import listing, offline
from launcher.disk.snapshot.notes import How
from launcher.host.errors import AlreadyThere, Busy, InputMissing, LauncherError, StorageError
from launcher.host.unix import listening
from launcher.life import changes, control
from launcher.life import volumes as volumes_
from launcher.life.changes import Changes
from launcher.life.control import Line
from launcher.life.state import Phase
from tests.storage.pet_volumes import volumes
from tests.storage.running import Running

T = TypeVar("T")
FULL = "QEMU refuses blockdev-snapshot-internal-sync: Could not create: No space left on device"


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(volumes(tmp_path))


def create(running: Running, name: str = "early", **further: str) -> dict[str, Any]:
    return running.do(lambda ours: ours.create({"name": name, **further}))


def test_snapshot_without_an_agent_is_crash_consistent(running: Running) -> None:
    told = create(running, description="words")
    assert (told["how"], told["unfrozen"]) == ("crash-consistent", "no guest agent answers")
    (found,) = listing.look(running.made.place)
    assert (found.name, found.how, found.description) == ("early", How.CRASH, "words")


def test_same_name_twice(running: Running) -> None:
    create(running)
    with pytest.raises(AlreadyThere):
        create(running)
    assert running.names() == ["early"]


@pytest.mark.parametrize("name", ["", "7", "-a", "a b", "a,b", ".x", "x" * 64])
def test_names_that_tools_would_misread_are_refused(running: Running, name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a snapshot"):
        create(running, name)
    assert running.names() == []


def test_full_volume_is_told(running: Running) -> None:
    running.qemu.fails = FULL
    with pytest.raises(StorageError, match=r"too little space in .*/pet"):
        create(running)


def test_guest_at_rest_is_told_so_unless_it_took_too_long(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import asynccontextmanager

    thawed_before_its_end: list[bool] = []

    @asynccontextmanager
    async def frozen() -> Any:
        yield ""
        thawed_before_its_end.append(not running.names())

    running.at_rest = frozen
    assert create(running)["how"] == "agent-frozen"
    running.do(lambda ours: ours.delete({"name": "early"}))
    monkeypatch.setattr(changes, "FROZEN", 0.05)
    running.qemu.takes = 0.3
    told = create(running)
    assert (told["how"], told["unfrozen"]) == ("crash-consistent", "it took more than 0.05 s")
    assert thawed_before_its_end == [False, True]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING])
def test_vm_that_starts_or_stops_is_left_alone(running: Running, phase: Phase) -> None:
    create(running)
    running.phase = phase
    arguments = {"name": "early"}
    work: Callable[[Changes], Awaitable[object]]
    for work in (
        lambda ours: ours.create(arguments),
        lambda ours: ours.delete(arguments),
        lambda ours: ours.restore(arguments),
        lambda ours: ours.hold(arguments),
    ):
        with pytest.raises(Busy, match=f"the VM is {phase}"):
            running.do(work)
    assert (running.names(), running.stops) == (["early"], [])


def test_restore_is_written_down_before_the_vm_is_stopped(running: Running) -> None:
    create(running)
    kept = running.do(lambda ours: ours.restore({"name": "early"}))["kept"]
    assert kept.startswith("before-restore-")
    assert running.stops == [Restore("early", kept)]


@pytest.mark.parametrize(
    "late", [Changes.delete, Changes.restore, Changes.create, Changes.hold, Changes.rebase]
)
def test_what_waits_behind_a_restore_is_not_done(
    running: Running, late: Callable[[Changes, Mapping[str, Any]], Awaitable[object]]
) -> None:
    create(running)

    async def both(ours: Changes) -> list[object]:
        work = ours.restore({"name": "early"}), late(ours, {"name": "early"})
        return [*await asyncio.gather(*work, return_exceptions=True)]

    first, second = running.do(both)
    assert isinstance(first, dict)
    assert isinstance(second, Busy)
    assert second.message == "the VM is shutting down"
    assert (running.names(), running.stops) == (["early"], [Restore("early", first["kept"])])


def test_restore_that_discards(running: Running) -> None:
    create(running)
    assert running.do(lambda ours: ours.restore({"name": "early", "discard": True}))["kept"] == ""
    assert running.stops == [Restore("early", "")]


def test_restore_that_cannot_be_stops_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputMissing, match="no snapshot 'late'"):
        running.do(lambda ours: ours.restore({"name": "late"}))
    create(running)

    def full(*_: object) -> None:
        raise StorageError("full")

    monkeypatch.setattr(request, "save", full)
    with pytest.raises(StorageError):
        running.do(lambda ours: ours.restore({"name": "early"}))
    assert running.stops == []


def test_rebase_that_cannot_be_stops_nothing(running: Running) -> None:
    create(running)
    asked = {"digest": "00" * 32, "shown": "/two.qcow2", "sha256": ""}
    with pytest.raises(LauncherError, match="1 snapshots"):
        running.do(lambda ours: ours.rebase(asked))
    running.do(lambda ours: ours.delete({"name": "early"}))
    running.do(lambda ours: ours.rebase(asked))
    assert [str(each) for each in running.stops] == [f"move to the base sha256-{'00' * 32}"]


class Hung:
    """A volume that hangs until the test ends. `begun` is set once somebody waits for it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.over = threading.Event()

    def __call__(self, *_: object) -> None:
        self.begun.set()
        self.over.wait(10)
        raise StorageError("it hung")


@pytest.fixture
def hung() -> Iterator[Hung]:
    made = Hung()
    yield made
    made.over.set()


@pytest.mark.parametrize(
    "change", [Changes.create, Changes.delete, Changes.hold, Changes.restore, Changes.rebase]
)
def test_volume_that_hangs_is_told(
    running: Running,
    hung: Hung,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Changes, Mapping[str, Any]], Awaitable[object]],
) -> None:
    monkeypatch.setattr(volumes_, "ANSWER", 0.05)
    monkeypatch.setattr(listing, "read", hung)
    monkeypatch.setattr(pet, "find", hung)
    with pytest.raises(StorageError, match=r"/pet did not answer within 0\.05 s"):
        running.do(lambda ours: change(ours, {"name": "early"}))
    assert running.stops == []


def test_exports_are_tidied_up_later_where_the_volume_hangs(
    running: Running, hung: Hung, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(volumes_, "ANSWER", 0.05)
    monkeypatch.setattr(listing, "read", hung)
    running.do(Changes.tidy)
    assert "the snapshot of an export is left: the volume" in caplog.text


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ((listing, "remark"), lambda ours: ours.create({"name": "late"})),
        ((listing, "forget"), lambda ours: ours.delete({"name": "early"})),
        ((request, "save"), lambda ours: ours.restore({"name": "early"})),
    ],
    ids=["create", "delete", "restore"],
)
def test_writing_that_hangs_keeps_nobody(
    running: Running,
    hung: Hung,
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[object, str],
    change: Callable[[Changes], Awaitable[object]],
) -> None:
    create(running)
    monkeypatch.setattr(*where, hung)

    async def stopped_meanwhile(ours: Changes) -> bool:
        changing = asyncio.ensure_future(change(ours))
        while not hung.begun.is_set():
            await asyncio.sleep(0.01)
        is_free = not hung.over.is_set() and not changing.done()
        changing.cancel()
        return is_free

    begun = time.monotonic()
    assert running.do(stopped_meanwhile)
    assert time.monotonic() - begun < 5
    assert running.stops == []


def served(running: Running, client: Callable[[Line], T]) -> T:
    """What a client is told over the socket."""

    async def serving(ours: Changes) -> T:
        with listening(control.path(running.made.folder)) as door:
            server = asyncio.ensure_future(control.serve(door, ours.commands()))

            def talk() -> T:
                with Line(running.made.folder, 30) as line:
                    return client(line)

            told = await asyncio.to_thread(talk)
            while any(each.startswith(".export") for each in running.names()):
                await asyncio.sleep(0.01)
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)
            return told

    return running.do(serving)


def test_export_s_snapshot_is_there_as_long_as_its_client(running: Running) -> None:
    def client(line: Line) -> list[str]:
        held = line.ask("snapshot-hold")
        assert running.names() == [held["name"]]
        with Line(running.made.folder, 30) as other, pytest.raises(Busy, match="being exported"):
            other.ask("snapshot-delete", name=held["name"])
        return running.names()

    (name,) = served(running, client)
    assert name.startswith(".export-")
    assert running.names() == []


def test_snapshot_of_its_own_stays_after_an_export(running: Running) -> None:
    create(running)
    served(running, lambda line: line.ask("snapshot-hold", name="early"))
    assert running.names() == ["early"]


def test_a_client_that_holds_something_does_not_keep_the_launcher(running: Running) -> None:
    async def serving(ours: Changes) -> list[str]:
        with listening(control.path(running.made.folder)) as door:
            server = asyncio.ensure_future(control.serve(door, ours.commands()))
            reader, writer = await asyncio.open_unix_connection(control.path(running.made.folder))
            writer.write(b'{"command": "snapshot-hold"}\n')
            assert b"return" in await reader.readline()
            server.cancel()
            async with asyncio.timeout(10):
                await asyncio.gather(server, return_exceptions=True)
            writer.close()
            return running.names()

    assert running.do(serving) == []


def test_what_an_export_left_goes_at_the_next_start(running: Running) -> None:
    offline.create(running.made.place, ".export-1", "", None)
    create(running)
    running.do(Changes.tidy)
    assert running.names() == ["early"]


def test_errors_keep_their_kind_on_the_way(running: Running) -> None:
    def client(line: Line) -> tuple[int, str]:
        with pytest.raises(InputMissing) as caught:
            line.ask("snapshot-delete", name="late")
        return caught.value.exit_code, caught.value.hint

    assert served(running, client) == (66, "these are there: none")
