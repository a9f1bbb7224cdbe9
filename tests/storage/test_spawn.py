"""A program that is started and owned: it ends with its context, or with us."""

import os
import select
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from launcher.host.errors import InputMissing
from launcher.host.process import spawn
from tests.storage.processes import assert_child_dies_with, is_alive, shell, wait_for_end


def test_child_ends_with_its_context() -> None:
    with spawn("child", ["sleep", "60"]) as child:
        assert child.status() is None
        assert is_alive(child.pid)
    assert not is_alive(child.pid)
    assert child.status() == -SIGTERM


def test_child_ends_with_a_failure_too() -> None:
    with pytest.raises(ZeroDivisionError), spawn("child", ["sleep", "60"]) as child:
        raise ZeroDivisionError
    assert not is_alive(child.pid)


def test_child_that_does_not_obey_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    argv = shell(f"trap '' TERM; echo > {ready}; while :; do sleep 1; done")
    with spawn("child", argv, grace=0.1) as child:
        # Opening waits for the other end: the trap is set.
        ready.read_text()
    assert child.status() == -SIGKILL


def test_status_of_a_child_that_has_ended() -> None:
    with spawn("child", shell("exit 3")) as child:
        wait_for_end(child.pid)
        assert child.status() == 3
        assert child.stop(grace=0) == 3
    assert child.status() == 3


def test_end_can_be_waited_for() -> None:
    with spawn("child", ["sleep", "60"]) as child:
        assert select.select([child.pidfd], [], [], 0) == ([], [], [])
        child.send(SIGKILL)
        assert select.select([child.pidfd], [], [], 10)[0] == [child.pidfd]
        assert child.status() == -SIGKILL


def test_missing_program_is_told_before_anything_starts() -> None:
    said = "the program no-such-program is not installed"
    with pytest.raises(InputMissing, match=said), spawn("child", ["no-such-program"]):
        pass


def test_stderr_can_be_read() -> None:
    with spawn("child", shell("echo out; echo err >&2"), capture_stderr=True) as child:
        assert child.stderr is not None
        wait_for_end(child.pid)
        assert os.read(child.stderr, 100) == b"err\n"


def test_stdout_is_not_ours(capfd: pytest.CaptureFixture[str]) -> None:
    # Ours belongs to the guest's console.
    with spawn("child", shell("echo out; echo err >&2")) as child:
        wait_for_end(child.pid)
    assert capfd.readouterr() == ("", "out\nerr\n")


def test_only_the_descriptors_that_are_passed() -> None:
    inherited, kept = os.pipe(), os.pipe()
    for end in (*inherited, *kept):
        os.set_inheritable(end, True)
    try:
        script = f"echo passed > /proc/self/fd/{inherited[1]}; [ ! -e /proc/self/fd/{kept[1]} ]"
        with spawn("child", shell(script), pass_fds=[inherited[1]]) as child:
            wait_for_end(child.pid)
            assert child.status() == 0
        assert os.read(inherited[0], 100) == b"passed\n"
    finally:
        for end in (*inherited, *kept):
            os.close(end)


def test_child_reads_nothing_of_ours() -> None:
    kept = os.dup(0)
    ours, typed = os.pipe()
    os.dup2(ours, 0)
    try:
        with spawn("child", shell("[ /dev/null -ef /proc/self/fd/0 ]")) as child:
            wait_for_end(child.pid)
            assert child.status() == 0
    finally:
        os.dup2(kept, 0)
        for end in (kept, ours, typed):
            os.close(end)


def test_ctrl_c_does_not_reach_the_child() -> None:
    # A terminal sends it to the whole group in its foreground.
    with spawn("child", ["sleep", "60"]) as child:
        assert os.getpgid(child.pid) == child.pid != os.getpgrp()


def test_nothing_stays_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with spawn("child", shell("exit 0"), capture_stderr=True):
        pass
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_child_dies_with_us_even_of_sigkill() -> None:
    script = (
        "from launcher.host.process import spawn\n"
        "with spawn('child', ['sh', '-c', 'echo $$; exec sleep 60']):\n"
        "    input()\n"
    )
    assert_child_dies_with(script)
