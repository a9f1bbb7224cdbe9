"""One fetches, the others follow; on a temporary folder, by a clock that nobody waits for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.host.errors import ImageRefused, InputMissing, LauncherError, SourceUnavailable
from launcher.image.base import Base
from launcher.image.store import holding, lease, lease_files
from launcher.image.store.following import Clock, is_sole, once
from launcher.image.store.holding import Lease
from launcher.image.store.lease import Claim, Kernel, Outcome, State, Timing
from launcher.image.store.lease_files import Seen
from launcher.image.wanted import Wanted

SOURCE = "https://me:secret@example.org/disk.qcow2"
KEY = lease.key(SOURCE)
TIMING = Timing(beat=3600, patience=30, poll=0.5)
BOOT = "boot-1"


class Stage(Clock):
    """A clock that stands still but for sleeps; after `steps` of these something happens."""

    def __init__(self, folder: Path) -> None:
        self.want = Wanted(SOURCE, "IMG_SOURCE", folder, "disk.qcow2", None, 1 << 40)
        self.base = Base(folder / "base", "0" * 64, 1, 1, "source")
        self.found: Base | None = None
        self.time = 0.0
        self.steps: dict[int, Callable[[], None]] = {}
        self.slept = 0
        self.told: list[str] = []
        self.leases: list[Lease] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += 1
        assert self.slept < 1000, "it waits for ever"
        if self.slept in self.steps:
            self.steps[self.slept]()

    def fetch(self, held: Lease) -> Base:
        self.leases.append(held)
        held.check()
        self.found = self.base
        return self.base

    def once(self, *, boot: str = BOOT, fetch: Callable[[Lease], Base] | None = None) -> Base:
        return once(
            self.want,
            SOURCE,
            lambda: self.found,
            fetch or self.fetch,
            self.told.append,
            timing=TIMING,
            boot=boot,
            clock=self,
        )

    def other(self, name: str = "disk.qcow2", *, sole: bool = True) -> Lease:
        """Somebody else's lease, held by this process."""
        asked = lease.asked(SOURCE, None, name, self.want.max_size, self.want.terms)
        claim = Claim("web-0", os.urandom(4).hex(), Kernel(BOOT, 0), False, sole, asked, "shown")
        seen = lease_files.look(self.want.folder, KEY, BOOT)
        held = holding.take(self.want.folder, KEY, claim, seen, TIMING)
        assert held
        held.tell("downloaded a little")
        held._write()  # what its thread does every few seconds
        return held

    def names(self) -> list[str]:
        return sorted(each.name for each in self.want.folder.iterdir())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_first_one_fetches(stage: Stage) -> None:
    assert stage.once() == stage.base
    (held,) = stage.leases
    assert held.predecessor is None
    assert held.continue_in_place
    assert stage.names() == []
    assert stage.slept == 0


def test_who_follows_tells_how_far_it_is(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    other = stage.other()

    def further() -> None:
        other.tell("downloaded all")
        other._write()

    def ready() -> None:
        stage.found = stage.base
        other.end("ready", "", "")

    stage.steps = {3: further, 6: ready}
    assert stage.once() == stage.base
    assert stage.leases == []
    assert stage.told == [f"web-0 fetches it: downloaded {much}" for much in ("a little", "all")]
    assert [each.message for each in caplog.records] == stage.told
    assert stage.names() == []


@pytest.mark.parametrize("kind", [ImageRefused, SourceUnavailable])
def test_a_failure_of_the_image_or_its_server_is_passed_on(
    stage: Stage, kind: type[LauncherError]
) -> None:
    other = stage.other()
    outcome: Outcome = "refused" if kind is ImageRefused else "unavailable"
    stage.steps = {2: lambda: other.end(outcome, "it is bad", "take another")}
    with pytest.raises(kind) as caught:
        stage.once()
    assert (caught.value.message, caught.value.hint) == ("web-0 found: it is bad", "take another")
    assert stage.leases == []


def test_a_failure_that_was_there_before_is_not(stage: Stage) -> None:
    """A pod that starts again tries again."""
    other = stage.other(sole=False)
    other.end("unavailable", "404", "")
    assert stage.names() == [f"fetch-{KEY}.lease-1"]
    assert stage.once() == stage.base
    assert len(stage.leases) == 1
    assert not stage.leases[0].continue_in_place
    assert stage.names() == [f"fetch-{KEY}.lease-2"]


def test_a_failure_of_one_who_asked_for_something_else_is_not(stage: Stage) -> None:
    other = stage.other("another-name")
    stage.steps = {2: lambda: other.end("refused", "that name is taken", "")}
    assert stage.once() == stage.base
    assert len(stage.leases) == 1


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_who_stopped_for_reasons_of_its_own_is_followed_by_the_next(
    stage: Stage, outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    other = stage.other()
    stage.steps = {2: lambda: other.end(outcome, "no space", "")}
    assert stage.once() == stage.base
    (held,) = stage.leases
    assert held.continue_in_place
    assert "web-0 stopped fetching it; fetching it here" in caplog.text


def test_one_that_died_is_replaced_at_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    other = stage.other()
    # What the kernel does for a process that is killed.
    stage.steps = {2: lambda: os.close(other._fd)}
    assert stage.once() == stage.base
    (held,) = stage.leases
    assert held.predecessor
    assert held.predecessor.doing == "downloaded a little"
    assert held.continue_in_place
    assert stage.slept == 2
    assert "web-0 died while it fetched it; fetching it here" in caplog.text
    other._fd = os.open(os.devnull, os.O_RDONLY)
    other.end("stopped", "", "")


def test_one_on_another_machine_is_waited_for(stage: Stage) -> None:
    other = stage.other()
    stage.steps = {20: other._write}
    assert stage.once(boot="boot-2") == stage.base
    (held,) = stage.leases
    assert not held.continue_in_place
    assert stage.time == 10 + 30
    other.end("stopped", "", "")


def test_one_that_may_wake_up_is_remembered_while_the_base_comes_and_goes(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    other = stage.other()
    assert stage.once(boot="boot-2") == stage.base
    assert "shows no sign of life" in caplog.text
    caplog.clear()
    for _ in range(2):
        stage.found = None
        assert stage.once(boot="boot-2") == stage.base
    assert [each.continue_in_place for each in stage.leases] == [False] * 3
    assert caplog.text == ""
    other.end("stopped", "", "")


def test_one_that_was_ready_did_not_stop(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Its base has another name, say, than we ask for."""
    other = stage.other(sole=False)
    stage.steps = {2: lambda: other.end("ready", "", "")}
    assert stage.once() == stage.base
    assert len(stage.leases) == 1
    assert caplog.text == ""


def test_what_is_not_certain_stays_so() -> None:
    claim = Claim("web-0", "1", Kernel(BOOT, 0), True, True, "", "")
    here = Kernel(BOOT, 0)
    sole, doubtful = (Seen(1, claim._replace(sole=each), "free", here) for each in (True, False))
    assert is_sole(None, "ended")
    states: tuple[State, ...] = ("ended", "dead", "silent")
    assert [is_sole(sole, state) for state in states] == [True, True, False]
    assert not is_sole(doubtful, "dead")
    assert not is_sole(Seen(1, None, "unknown", here), "silent")


def test_a_base_that_came_before_the_lease_was_taken(stage: Stage) -> None:
    looks = iter([None, stage.base])
    found = once(
        stage.want,
        SOURCE,
        lambda: next(looks),
        stage.fetch,
        stage.told.append,
        timing=TIMING,
        boot=BOOT,
        clock=stage,
    )
    assert (found, stage.leases, stage.names()) == (stage.base, [], [])


def test_nothing_secret_is_written_down(stage: Stage) -> None:
    def fetch(held: Lease) -> Base:
        (path,) = stage.want.folder.iterdir()
        assert b"secret" not in path.read_bytes()
        assert b"example.org" in path.read_bytes()
        raise InputMissing("it ends here")

    with pytest.raises(InputMissing):
        stage.once(fetch=fetch)
