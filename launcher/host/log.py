"""Our own lines: to stderr, as text for people or JSON for machines.

Standard output is never written to: it is the guest's serial console.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = ("asyncio", "pyroute2", "urllib3")
LEVELS = ("debug", "info", "warning", "error")


class TextFormatter(logging.Formatter):
    """`startvm: text` for what is normal, `startvm: warning: text` for what is not."""

    def format(self, record: logging.LogRecord) -> str:
        mark = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{record.name}: {mark}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message and, if any, exception."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str, form: str) -> None:
    """Send all loggers' lines to stderr.

    This comes before the settings are read, whose mistakes are to be logged too; so a level or
    format that is none counts as the default, and the settings will complain.
    """
    level = level.lower() if level.lower() in LEVELS else "info"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form.lower() == "json" else TextFormatter())
    handler.addFilter(_is_ours)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line is worth a reader's time. What libraries tell below a warning is about
    themselves; a filter stands where their own ideas of a level cannot change it."""
    if record.name.startswith("qemu.qmp"):
        # It logs what it raises, a QEMU that has ended say. "qemu" are QEMU's own words.
        return False
    return record.levelno >= logging.WARNING or not record.name.startswith(LIBRARIES)


@contextmanager
def step(logger: logging.Logger, what: str) -> Iterator[None]:
    """Log at debug level how long `what` took, in milliseconds."""
    start = time.monotonic()
    yield
    logger.debug("%s took %.0f ms", what, (time.monotonic() - start) * 1000)
