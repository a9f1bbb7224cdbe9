"""Helper programs that are kept running beside the VM."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.host.process import spawn
from launcher.life.service import Service
from tests.storage.lives import GUEST_OFF, RUNS, Life, signals_restored


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with signals_restored():
        yield Life(tmp_path)


def test_service_that_dies_comes_back(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    # Three runs, then the guest has seen enough.
    script = (
        f"echo run >> {life.notes}; [ $(wc -l < {life.notes}) -lt 3 ] || kill -TERM {os.getpid()}"
    )
    argv = ["sh", "-c", script]
    with spawn("helper", argv, capture_stderr=True) as child:
        end = life.live(lambda: [Service(child, argv)], cont=[RUNS], system_powerdown=GUEST_OFF)
    assert end.reason == "guest-shutdown"
    assert life.notes.read_text() == "run\n" * 3
    assert "helper ended with status 0; starting it again in 0.1 s" in caplog.text
    assert "helper ended with status 0; starting it again in 0.2 s" in caplog.text


def test_service_that_cannot_start_is_tried_again(
    life: Life, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "helper"

    def install(record: logging.LogRecord) -> bool:
        if "does not start" in record.getMessage() and not program.exists():
            program.write_text(f"#!/bin/sh\nkill -TERM {os.getpid()}\nexec sleep 60\n")
            program.chmod(0o755)
        return True

    logger = logging.getLogger("startvm")
    logger.addFilter(install)
    try:
        with spawn("helper", ["true"], capture_stderr=True) as child:
            end = life.live(
                lambda: [Service(child, [str(program)])], cont=[RUNS], system_powerdown=GUEST_OFF
            )
    finally:
        logger.removeFilter(install)
    assert end.reason == "guest-shutdown"
    assert f"helper does not start: the program {program} is not installed" in caplog.text


def test_service_that_was_started_again_ends_with_the_vm(life: Life) -> None:
    # The first run is its owner's to end.
    lines = f"$(wc -l < {life.notes})"
    script = f"echo $$ >> {life.notes}; [ {lines} = 1 ] || {{ kill {os.getpid()}; exec sleep 60; }}"
    argv = ["sh", "-c", script]
    with spawn("helper", argv, capture_stderr=True) as child:
        life.live(lambda: [Service(child, argv)], cont=[RUNS], system_powerdown=GUEST_OFF)
    _, second = map(int, life.notes.read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)
