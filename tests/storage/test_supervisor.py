"""A VM's whole life, with real processes and signals; only QEMU is a program of our own."""

import asyncio
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGABRT, SIGINT, SIGKILL, SIGTERM

import pytest

from launcher.disk.space import Backing
from launcher.host.errors import LauncherError
from launcher.life import state, supervisor
from launcher.life.outcome import End
from launcher.life.service import Service
from launcher.life.state import Phase, State
from tests.storage.lives import GUEST_OFF, RUNS, TERM, Life, Step, signals_restored


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with signals_restored():
        yield Life(tmp_path)


def test_guest_powers_itself_off(life: Life) -> None:
    end = life.live(cont=[RUNS, *GUEST_OFF])
    assert end == End(status=0, reason="guest-shutdown", ran=True, asked=False, forced=False)
    life.phase_at(Phase.RUNNING)


def test_guest_panics(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    panic = [
        RUNS,
        ["event", "GUEST_PANICKED", {"action": "shutdown"}],
        ["event", "SHUTDOWN", {"guest": True, "reason": "guest-panic"}],
        ["exit", 0],
    ]
    end = life.live(cont=panic)
    assert (end.reason, end.status, end.asked) == ("guest-panic", 0, False)
    assert "the guest panicked" in caplog.text


def test_events_right_before_the_end_are_not_lost(life: Life) -> None:
    # QEMU sends the reason and closes the monitor at once.
    for _ in range(5):
        assert life.live(cont=GUEST_OFF).reason == "guest-shutdown"


def test_qemu_crashes(life: Life) -> None:
    end = life.live(cont=[RUNS, ["say", "something is\nwrong"], ["exit", 3]])
    assert end == End(3, None, True, False, False, ("something is", "wrong"))


def test_qemu_dies_of_a_signal(life: Life) -> None:
    end = life.live(cont=[RUNS, ["say", "assertion failed"], ["die", SIGABRT]])
    assert end == End(-SIGABRT, None, True, False, False, ("assertion failed",))


def test_qemu_ends_instead_of_greeting(life: Life) -> None:
    prepared: list[bool] = []

    def prepare() -> Sequence[Service]:
        prepared.append(True)
        return ()

    end = life.live(prepare, start=[["say", "qemu: -foo: invalid option"], ["exit", 1]])
    assert end == End(1, None, False, False, False, ("qemu: -foo: invalid option",))
    assert prepared == []
    assert life.monitor
    assert life.monitor.fileno() == -1


def test_preparation_that_fails_ends_it(life: Life) -> None:
    def prepare() -> Sequence[Service]:
        raise LauncherError("no bridge")

    with pytest.raises(LauncherError, match="no bridge"):
        life.live(prepare, cont=[life.note("cont")])
    assert not life.notes.exists()
    assert life.qemu
    with pytest.raises(ProcessLookupError):
        os.kill(life.qemu.pid, 0)


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_order_before_the_guest_runs(life: Life, number: int) -> None:
    def prepare() -> Sequence[Service]:
        os.kill(os.getpid(), number)
        return ()

    end = life.live(prepare, cont=[life.note("cont")])
    assert end == End(0, "host-qmp-quit", ran=False, asked=True, forced=False)
    assert not life.notes.exists()


def test_order_before_qemu_answers(life: Life) -> None:
    end = life.live(start=[["mute"], TERM])
    assert end == End(-SIGKILL, None, ran=False, asked=True, forced=False)


def test_order_to_a_vm_that_runs(life: Life) -> None:
    end = life.live(
        cont=[RUNS, TERM],
        system_powerdown=[["event", "POWERDOWN", {}], *GUEST_OFF],
    )
    assert end == End(0, "guest-shutdown", ran=True, asked=True, forced=False)
    life.phase_at(Phase.STOPPING)


def test_guest_that_does_not_obey_is_cut_off(life: Life) -> None:
    begun = time.monotonic()
    end = life.live(stop_timeout=2, cont=[RUNS, TERM], system_powerdown=[life.note("press ")])
    assert end == End(0, "host-qmp-quit", ran=True, asked=True, forced=True)
    assert life.notes.read_text() == "press "
    assert time.monotonic() - begun < 6


def test_qemu_that_does_not_even_quit_is_killed(life: Life) -> None:
    begun = time.monotonic()
    end = life.live(stop_timeout=2, cont=[RUNS, TERM, ["mute"]])
    assert end == End(-SIGKILL, None, ran=True, asked=True, forced=True)
    assert time.monotonic() - begun < 6


def test_second_order_skips_the_button(life: Life) -> None:
    begun = time.monotonic()
    end = life.live(stop_timeout=60, cont=[RUNS, TERM], system_powerdown=[TERM])
    assert end == End(0, "host-qmp-quit", ran=True, asked=True, forced=True)
    assert time.monotonic() - begun < 10


def test_order_during_the_taking_down_is_kept(life: Life) -> None:
    # `stay` waits for it with sigwait.
    life.live(cont=[RUNS, *GUEST_OFF])
    # To this thread: others of the tests' process need not keep it out.
    signal.pthread_kill(threading.get_ident(), SIGTERM)
    assert signal.sigpending() == {SIGTERM}
    assert signal.sigwait({SIGTERM}) == SIGTERM


def test_qemu_that_only_closes_its_monitor_is_killed(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LAST_BREATH", 0.1)
    end = life.live(cont=[RUNS, ["close"]])
    assert end.status in (-SIGTERM, -SIGKILL)
    assert not end.asked


def test_pause_is_told(life: Life) -> None:
    end = life.live(cont=[RUNS, ["event", "STOP", {}], ["exit", 0]])
    assert end.status == 0
    life.phase_at(Phase.PAUSED)


def test_disk_errors_are_told(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    full = {"device": "", "node-name": "pet", "operation": "write", "action": "stop"}
    empty = {"device": "cd0", "operation": "read", "action": "report", "reason": "no medium"}
    life.live(
        cont=[
            RUNS,
            ["event", "BLOCK_IO_ERROR", full | {"nospace": True, "reason": "ENOSPC"}],
            ["event", "BLOCK_IO_ERROR", empty],
            *GUEST_OFF,
        ]
    )
    assert "disk pet: write failed: ENOSPC (no space left)" in caplog.text
    assert "disk cd0: read failed: no medium" in caplog.text


FULL: Step = [
    "event",
    "BLOCK_IO_ERROR",
    {
        "node-name": "pet",
        "operation": "write",
        "action": "stop",
        "nospace": True,
        "reason": "No space left on device",
    },
]
STOPPED: list[Step] = [FULL, FULL, ["event", "STOP", {}]]


def asked(status: str, *steps: Step) -> list[Step]:
    return [["return", {"status": status, "running": status == "running"}], *steps]


def test_what_a_full_disk_lacks_is_told(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    disk = life.run_dir / "web-0.qcow2"
    disk.write_bytes(b"")
    life.disks["pet"] = Backing(disk, 5 << 60, "qcow2")
    life.script["query-status"] = asked("io-error", *GUEST_OFF)
    life.live(cont=[RUNS, *STOPPED])
    life.phase_at(Phase.PAUSED)
    found = state.read(life.run_dir)
    assert found
    missing = (
        r"has [0-9.]+ \w+ of [0-9.]+ \w+ free, and web-0.qcow2 may still take [0-9]+ TiB: up to"
    )
    full = r"disk pet: write failed: No space left on device \(no space left\)"
    assert re.match(f"{full}; {life.run_dir} {missing}", found.reason)
    assert [each.levelname for each in caplog.records if re.match(full, each.message)] == ["ERROR"]
    assert caplog.text.count("the VM is paused, and goes on by itself once ") == 1


def test_attempts_in_vain_are_no_change(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the pod would be ready for a moment at each, and paused since the last one."""
    told: list[tuple[Phase, int | None]] = []
    remember = state.remember

    def note(folder: Path, phase: Phase, reason: str = "", since: int | None = None) -> State:
        told.append((phase, since))
        return remember(folder, phase, reason, since)

    monkeypatch.setattr(state, "remember", note)

    def stop_after_two() -> None:
        deadline = time.monotonic() + 30
        while not life.notes.exists() or len(life.notes.read_text()) < 2:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        os.kill(os.getpid(), SIGTERM)

    def prepare() -> Sequence[Service]:
        threading.Thread(target=stop_after_two).start()
        return ()

    life.script["query-status"] = asked("io-error")
    life.live(prepare, stop_timeout=2, cont=[RUNS, *STOPPED, life.note("c")])
    begun, paused, *again, stopping = told
    assert begun == (Phase.RUNNING, None)
    assert paused == (Phase.PAUSED, None)
    assert {phase for phase, _ in again} == {Phase.PAUSED}
    assert None not in {since for _, since in again}
    assert stopping[0] is Phase.STOPPING


def test_it_is_told_to_go_on(life: Life) -> None:
    life.script["query-status"] = asked("io-error", TERM)
    life.live(stop_timeout=2, cont=[RUNS, *STOPPED, life.note("cont ")])
    assert life.notes.read_text().startswith("cont cont ")


def test_what_was_got_over_is_told(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    life.script["query-status"] = asked("running", TERM)
    life.live(cont=[RUNS, *STOPPED, RUNS])
    assert "the VM goes on after " in caplog.text


def test_an_order_to_a_vm_that_is_paused(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    # The first question is the one before the first attempt.
    life.script["query-status"] = asked("io-error", TERM)
    end = life.live(stop_timeout=2, cont=[RUNS, *STOPPED])
    assert end == End(0, "host-qmp-quit", True, asked=True, forced=True, paused=True)
    assert "the VM is paused, and cannot shut down unless it goes on before that" in caplog.text


def test_a_person_s_pause_is_left_alone(life: Life) -> None:
    life.script["query-status"] = asked("paused")
    cont = [RUNS, ["event", "STOP", {}], TERM, life.note("cont ")]
    end = life.live(stop_timeout=4, cont=cont)
    assert (end.forced, end.paused) == (True, True)
    assert life.notes.read_text() == "cont "


def test_full_disk_does_not_end_the_guest(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    life.run_dir = Path("/proc/self/fdinfo")
    end = life.live(cont=[RUNS, TERM], system_powerdown=GUEST_OFF)
    assert end == End(0, "guest-shutdown", ran=True, asked=True, forced=False)
    assert caplog.text.count("state.json.new cannot be written") == 2


def test_stderr_without_line_ends_does_not_stop_qemu(life: Life) -> None:
    # More than a pipe holds: QEMU would wait for ever for somebody to read it.
    end = life.live(cont=[RUNS, ["flood", 300_000], *GUEST_OFF])
    assert end.status == 0
    assert sum(map(len, end.words)) == 300_000


def test_preparation_may_have_an_event_loop_of_its_own(life: Life) -> None:
    def prepare() -> Sequence[Service]:
        asyncio.run(asyncio.sleep(0))
        return ()

    assert life.live(prepare, cont=[RUNS, *GUEST_OFF]).status == 0
