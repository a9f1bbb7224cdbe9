"""The two doors to other programs, with real ones."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from launcher.host.errors import CommandFailed, InputMissing, StorageError
from launcher.host.process import Limits, Result, run, spawn

MIB = 1 << 20
ROOT = Path(__file__).parents[2]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def wait_for_end(pid: int, timeout: float = 10) -> None:
    """Wait until a process that need not be our child is gone; zombies of nobody count as gone."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            ready, _, _ = select.select([pidfd], [], [], timeout)
            assert ready, f"process {pid} lives on"
        finally:
            os.close(pidfd)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- run ------------------------------------------------------------------------------------------


def test_what_it_says() -> None:
    assert run(shell("echo out; echo err >&2")) == Result(0, "out\n", "err\n")


def test_stdin_is_what_it_is_given() -> None:
    assert run(["cat"], stdin="a\nü").stdout == "a\nü"
    assert run(["cat"]).stdout == ""


def test_environment_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("IMG_SOURCE", "https://me:secret@example.org/")
    assert sorted(run(["env"]).stdout.splitlines()) == [
        "HOME=/",
        "LANG=C.UTF-8",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]


def test_output_that_is_no_text() -> None:
    assert run(shell(r"printf 'a\377b'")).stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_statuses_that_are_no_failure() -> None:
    assert run(shell("exit 2"), success=(0, 2)).status == 2
    with pytest.raises(CommandFailed):
        run(shell("exit 0"), success=(2,))


def test_failure_is_told_in_the_programs_words() -> None:
    with pytest.raises(CommandFailed, match="sh exited 3: no space") as caught:
        run(shell("echo no space >&2; exit 3"))
    assert (caught.value.status, caught.value.stderr) == (3, "no space")


def test_death_of_a_signal() -> None:
    with pytest.raises(CommandFailed, match="sh died of signal 15") as caught:
        run(shell("kill $$"))
    assert caught.value.status == -15


@pytest.mark.parametrize("limits", [None, Limits(512 * MIB, 10)])
@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
def test_program_that_is_missing(program: str, limits: Limits | None) -> None:
    with pytest.raises(InputMissing, match=f"the program {program} is not installed"):
        run([program], limits=limits)


def test_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    notes = tmp_path / "pid"
    begun = time.monotonic()
    with pytest.raises(StorageError, match="sh did not end within 0 s"):
        run(shell(f"echo $$ > {notes}; exec sleep 60"), timeout=0.3)
    assert time.monotonic() - begun < 10
    assert not is_alive(int(notes.read_text()))


# --- limits ---------------------------------------------------------------------------------------


def test_limits_are_the_programs() -> None:
    limits = Limits(address_space=512 * MIB, cpu_seconds=7)
    done = run(shell("ulimit -v; ulimit -t"), limits=limits)
    assert done.stdout.split() == [str(512 * 1024), "7"]


def test_limits_do_not_change_what_is_told() -> None:
    limits = Limits(address_space=512 * MIB, cpu_seconds=7)
    with pytest.raises(CommandFailed, match="sh exited 3: no") as caught:
        run(shell("echo no >&2; exit 3"), limits=limits)
    assert caught.value.argv[0] == "sh"


def test_memory_beyond_the_limit_is_refused() -> None:
    script = "x = bytearray(512 << 20)"
    run([sys.executable, "-SEc", script])
    with pytest.raises(CommandFailed, match="MemoryError"):
        run([sys.executable, "-SEc", script], limits=Limits(256 * MIB, 10))


def test_program_that_computes_for_ever_is_ended() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(shell("while :; do :; done"), limits=Limits(512 * MIB, cpu_seconds=1))
    assert caught.value.status in (-signal.SIGXCPU, -SIGKILL)


# --- spawn ----------------------------------------------------------------------------------------


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
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with parent:
        assert parent.stderr
        child = int(parent.stderr.readline())
        assert is_alive(child)
        parent.kill()
        wait_for_end(child)


# --- replace --------------------------------------------------------------------------------------


def test_shell_in_our_place_has_our_environment() -> None:
    script = (
        "from launcher.host.process import replace; replace(['sh', '-c', 'echo $VM_NAME; exit 5'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "VM_NAME": "web-0"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (5, "web-0\n")
