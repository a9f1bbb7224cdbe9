"""`startvm` up to the VM: its words, its exit codes, its signals."""

import json
import os
import signal
from collections.abc import Callable

import pytest

from launcher.cli import startvm
from launcher.host import process
from launcher.host.errors import Busy
from launcher.life import start as life
from launcher.settings.table import Settings

SOURCE = "https://example.org/disk.qcow2"

Start = Callable[[Settings, tuple[str, ...]], int]


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Start], None]:
    """Put a function in the place of the VM's start."""

    def put(start: Start) -> None:
        monkeypatch.setenv("IMG_SOURCE", SOURCE)
        monkeypatch.setattr(life, "start", start)

    return put


def never(*_: object) -> int:
    raise AssertionError("the VM was started")


@pytest.mark.parametrize("word", ["-h", "--help", "-help"])
def test_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert startvm.run([word]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("startvm [QEMU OPTION ...]")
    assert "berth settings" in shown.out
    assert shown.err == ""


def test_a_word_it_does_not_know(
    starts: Callable[[Start], None], capsys: pytest.CaptureFixture[str]
) -> None:
    starts(never)
    assert startvm.run(["start"]) == 78
    assert "startvm's argument 'start' is not accepted; accepted: QEMU's options, or bash" in (
        capsys.readouterr().err
    )


def test_a_fault_of_our_own_is_told_with_its_place(
    starts: Callable[[Start], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def faulty(*_: object) -> int:
        raise ZeroDivisionError("a fault")

    starts(faulty)
    assert startvm.run([]) == 70
    said = capsys.readouterr().err
    assert "startvm: error: a fault of Berth's own" in said
    assert "ZeroDivisionError: a fault" in said


@pytest.mark.parametrize("arguments", [["bash"], ["sh", "-c", "exit 3"], ["bash", "--help"]])
def test_shell_in_its_place(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Replaced(Exception):
        pass

    def replace(argv: list[str]) -> None:
        raise Replaced(*argv)

    monkeypatch.setattr(process, "replace", replace)
    with pytest.raises(Replaced) as caught:
        startvm.run(arguments)
    assert list(caught.value.args) == arguments
    # The shell is to die of signals like any other.
    assert signal.getsignal(signal.SIGTERM) is not startvm._stop


def test_arguments_are_qemus(starts: Callable[[Start], None]) -> None:
    seen: list[object] = []

    def start(settings: Settings, arguments: tuple[str, ...]) -> int:
        seen.extend([settings.img_source, arguments])
        return 70

    starts(start)
    assert startvm.run(["-device", "e1000"]) == 70
    assert seen == [SOURCE, ("-device", "e1000")]


def test_settings_that_are_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"VM_CPUS": "0", "VM_MEMORY": "lots", "LOG_LEVEL": "loud"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(life, "start", never)
    assert startvm.run([]) == 78
    shown = capsys.readouterr()
    assert shown.out == ""
    title, *problems = shown.err.splitlines()
    assert title == "startvm: error: 4 settings are wrong:"
    assert [each.split("=")[0].split()[1] for each in problems] == [
        "VM_CPUS",
        "VM_MEMORY",
        "LOG_LEVEL",
        "IMG_SOURCE",
    ]


def test_settings_that_are_wrong_for_machines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setattr(life, "start", never)
    assert startvm.run([]) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["level"] == "error"
    assert "IMG_SOURCE is not set" in json.loads(line)["message"]


def test_failure_ends_with_its_own_code(
    starts: Callable[[Start], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def start(*_: object) -> int:
        raise Busy("another pod has the pet", hint="wait for its end")

    starts(start)
    assert startvm.run([]) == 75
    said = "startvm: error: another pod has the pet (hint: wait for its end)\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_order_to_stop_before_the_vm_runs(
    number: signal.Signals,
    starts: Callable[[Start], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    undone: list[str] = []

    def start(*_: object) -> int:
        try:
            os.kill(os.getpid(), number)
            raise AssertionError("the order went unheard")
        finally:
            # A second one does not cut the taking down short.
            os.kill(os.getpid(), number)
            undone.append("links")

    starts(start)
    assert startvm.run([]) == 0
    assert undone == ["links"]
    assert capsys.readouterr().err == "startvm: told to stop before the VM was started\n"
