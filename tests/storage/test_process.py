"""A program that is run to its end, within limits, or in our place."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGKILL

import pytest

from launcher.host.errors import CommandFailed, InputMissing, StorageError
from launcher.host.process import Limits, Result, run
from tests.storage.processes import is_alive, shell

MIB = 1 << 20
ROOT = Path(__file__).parents[2]


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


def test_what_is_said_without_end_is_not_kept() -> None:
    said = run(shell("head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2"))
    assert MIB <= len(said.stdout) < 2 * MIB
    assert MIB <= len(said.stderr) < 2 * MIB


def test_stdin_that_nobody_reads_to_its_end() -> None:
    """What a program does not want it need not take; and it may talk before it listens."""
    assert run(shell("echo out"), stdin="x" * 9 * MIB).stdout == "out\n"
    script = "head -c 500000 /dev/zero; cat"
    assert len(run(shell(script), stdin="x" * 500_000).stdout) == 1_000_000


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


def test_limits_are_the_programs() -> None:
    limits = Limits(address_space=512 * MIB, cpu_seconds=7)
    done = run(shell("ulimit -v; ulimit -t"), limits=limits)
    assert done.stdout.split() == [str(512 * 1024), "7"]


def test_no_file_is_larger_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    script = shell(f"head -c {2 * MIB} /dev/zero >{path}")
    with pytest.raises(CommandFailed):
        run(script, limits=Limits(512 * MIB, 10, file_size=MIB))
    assert path.stat().st_size == MIB
    with pytest.raises(CommandFailed):
        run(script, limits=Limits(512 * MIB, 10))
    assert path.stat().st_size == 0


def test_files_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    run(
        shell(f"head -c {2 * MIB} /dev/zero >{path}"),
        limits=Limits(512 * MIB, 10, file_size=None),
    )
    assert path.stat().st_size == 2 * MIB


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
