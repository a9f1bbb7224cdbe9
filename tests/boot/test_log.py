"""What a start says and writes down, with an image that comes by HTTP and needs a password."""

import base64
import json

import pytest

from tests.pods.vm import Pod
from tests.storage.http_server import Server

SECRET = "hunter2"


@pytest.fixture
def started(idle: Pod, server: Server) -> Pod:
    """A pod whose VM was started from the server, with a log for machines, and stopped again."""
    server.serve("/tiny.qcow2", idle.image.read_bytes())
    idle.settings |= {
        "IMG_SOURCE": server.url("/tiny.qcow2", user=f"reader:{SECRET}") + f"?token={SECRET}",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "debug",
        "STOP_TIMEOUT": "2",
    }
    run = idle.start()
    run.log.wait_for("web-3 is running")
    run.stop()
    return idle


def test_each_line_is_json(started: Pod) -> None:
    lines = [json.loads(line) for line in started.runs[0].log.text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert {"debug", "info", "error"} <= {line["level"] for line in lines}


def test_the_password_goes_to_the_server_and_nowhere_else(started: Pod, server: Server) -> None:
    sent = server.requests[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"reader:{SECRET}"
    told = [
        started.runs[0].log.text,
        started.berth("plan").stdout,
        started.berth("settings").stdout,
        *(path.read_text(encoding="utf-8") for path in started.folder.rglob("*.json")),
    ]
    assert [text for text in told if SECRET in text] == []
