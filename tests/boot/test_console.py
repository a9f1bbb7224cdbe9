"""`berth console`: a person at the guest's serial console, which goes on in the log."""

import subprocess

from tests.boot.conftest import Up
from tests.boot.terminal import CONSOLE, DETACH, attached
from tests.pods.vm import Pod


def test_a_person_types_a_command_and_sees_its_answer(up: Up) -> None:
    with attached(up.pod) as person:
        person.type(b"echo $((6 * 7)) from $(hostname)\r")
        person.wait_for(rb"\r\n42 from web-3\r\n")
        person.type(DETACH)
        assert person.wait() == 0
        assert person.echoes
    # The log does not miss what a person sees.
    up.run.console.wait_for("^42 from web-3")


def test_the_terminal_leaves_each_key_to_the_guest(up: Up) -> None:
    with attached(up.pod) as person:
        person.type(b"stty raw; echo rea''dy; dd bs=1 count=1 2>/dev/null | od -t o1; stty sane\r")
        person.wait_for(rb"ready\n")
        assert not person.echoes
        person.type(b"\x03")
        person.wait_for(rb"0000000 003\s")
        person.type(DETACH)
        assert person.wait() == 0


def test_one_person_at_a_time(up: Up) -> None:
    with attached(up.pod) as first:
        second = up.pod.berth("console", check=False)
        assert second.returncode == 75
        assert second.stderr == "berth: somebody is attached to the console already\n"
        first.type(DETACH)
        first.wait()
    with attached(up.pod) as third:
        third.type(DETACH)
        assert third.wait() == 0


def test_a_script_gets_its_answer(up: Up) -> None:
    done = subprocess.run(
        up.pod.command(*CONSOLE),
        env=up.pod.environment,
        input=b"\recho by a script: $((41 + 1))\r",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert b"by a script: 42\r\n" in done.stdout


def test_a_reader_that_takes_nothing_does_not_stop_the_guest(up: Up) -> None:
    """QEMU waits for whoever is attached, and what writes to its console waits for QEMU."""
    stuck = subprocess.Popen(
        up.pod.command(*CONSOLE),
        env=up.pod.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert stuck.stdin
    try:
        # One key, to know by its echo that it is attached: the last that is read from it.
        stuck.stdin.write(b"#\r")
        stuck.stdin.flush()
        assert stuck.stdout
        stuck.stdout.read(1)
        # More than a pipe and a socket hold together.
        up.ssh("yes and so on | head -n 40000 >/dev/ttyS0; echo ev''en so >/dev/ttyS0")
        up.run.console.wait_for("^even so")
    finally:
        stuck.kill()
        stuck.communicate()


def test_where_no_vm_runs_there_is_no_console(idle: Pod) -> None:
    done = idle.berth("console", check=False)
    assert done.returncode == 66
    assert "there is no VM at" in done.stderr
