"""Our lines: for people, for machines, and none of the libraries' chatter."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from launcher.host import log
from launcher.host.log import JsonFormatter, TextFormatter, step


def record(
    level: int = logging.INFO, text: str = "%s is %d", failure: bool = False
) -> logging.LogRecord:
    values = ("a", 1) if "%" in text else ()
    made = logging.LogRecord("startvm", level, "f.py", 1, text, values, None)
    made.created, made.msecs = 1700000000.025, 25.0
    if failure:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            made.exc_info = sys.exc_info()
    return made


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (logging.DEBUG, "startvm: debug: a is 1"),
        (logging.INFO, "startvm: a is 1"),
        (logging.WARNING, "startvm: warning: a is 1"),
        (logging.ERROR, "startvm: error: a is 1"),
    ],
)
def test_text(level: int, line: str) -> None:
    assert TextFormatter().format(record(level)) == line


def test_text_of_an_exception() -> None:
    first, *others = TextFormatter().format(record(failure=True)).splitlines()
    assert first == "startvm: a is 1"
    assert others[0] == "Traceback (most recent call last):"
    assert others[-2:] == ["ValueError: two", "lines"]


@pytest.fixture
def _tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as far_away:
        far_away.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_tokyo")
def test_json() -> None:
    assert json.loads(JsonFormatter().format(record(logging.WARNING))) == {
        "time": "2023-11-14T22:13:20.025Z",
        "level": "warning",
        "logger": "startvm",
        "message": "a is 1",
    }


def test_json_is_one_line_with_its_exception() -> None:
    line = JsonFormatter().format(record(text="two\nlines — ü", failure=True))
    assert len(line.splitlines()) == 1
    entry = json.loads(line)
    assert entry["message"] == "two\nlines — ü"
    assert entry["exception"].endswith("ValueError: two\nlines")


Stderr = Callable[[], str]


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Stderr]:
    """What configure() lets through; the root logger is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)


def say(name: str = "startvm") -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, "%s", logging.getLevelName(level))


@pytest.mark.parametrize(
    ("level", "lines"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1), ("ERROR", 1), ("", 3), ("loud", 3)],
)
def test_level(stderr: Stderr, level: str, lines: int) -> None:
    log.configure(level, "text")
    say()
    assert len(stderr().splitlines()) == lines


@pytest.mark.parametrize(
    ("form", "is_json"),
    [("json", True), ("JSON", True), ("text", False), ("", False), ("xml", False)],
)
def test_form(stderr: Stderr, form: str, is_json: bool) -> None:
    log.configure("info", form)
    say()
    assert stderr().startswith("{") is is_json


def test_configuring_twice_says_nothing_twice(stderr: Stderr) -> None:
    log.configure("info", "text")
    log.configure("error", "text")
    say()
    assert stderr() == "startvm: error: ERROR\n"


@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize("library", ["urllib3.connectionpool", "asyncio", "pyroute2.netlink"])
def test_libraries_warn_and_no_more(stderr: Stderr, library: str, level: str) -> None:
    log.configure(level, "text")
    say(library)
    assert stderr() == f"{library}: warning: WARNING\n{library}: error: ERROR\n"


def test_libraries_warnings_are_warnings(stderr: Stderr) -> None:
    log.configure("error", "text")
    say("urllib3.connectionpool")
    assert stderr() == "urllib3.connectionpool: error: ERROR\n"


def test_qemus_own_words_are_logged_and_its_librarys_are_not(stderr: Stderr) -> None:
    log.configure("info", "text")
    say("qemu")
    assert len(stderr().splitlines()) == 3
    say("qemu.qmp.protocol.berth")
    assert stderr() == ""


def test_step_is_told_to_those_who_look_for_it(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("startvm")
    caplog.set_level(logging.DEBUG, "startvm")
    with step(logger, "the network"):
        pass
    assert caplog.messages[-1].startswith("the network took ")
    assert caplog.messages[-1].endswith(" ms")
    assert [each.levelname for each in caplog.records] == ["DEBUG"]
