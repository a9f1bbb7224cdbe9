"""A source, whatever it is, as a stream of bytes."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from launcher.host.errors import InputMissing, SourceUnavailable
from launcher.image.source.kept import Files
from launcher.image.source.stamp import Stamp
from launcher.image.source.stream import CHUNK, Stream
from launcher.image.source.terms import USUAL, Terms


def opened(
    source: str,
    setting: str,
    terms: Terms = USUAL,
    *,
    files: Files | None = None,
    deadline: float | None = None,
) -> AbstractContextManager[Stream]:
    """Open a URL or a full path; `setting` is the one to name when that fails.

    :param files: what a download may be kept in, for the next try to go on with.
    :param deadline: of `time.monotonic()`; by default as far ahead as `terms` say.

    :raise InputMissing: when a file is not there or cannot be read, then or while it is read.
    :raise SourceUnavailable: when a server has not, or does not deliver, what was asked for; when
        a file changes while it is read.
    :raise ImageRefused: when it answers in a way that hides the bytes; when it is too large.
    """
    if "://" in source:
        from launcher.image.source import http

        if deadline is None:
            deadline = time.monotonic() + terms.patience
        return http.opened(source, setting, terms, files, deadline)
    return _local(Path(source), setting, terms)


@contextmanager
def _local(path: Path, setting: str, terms: Terms) -> Iterator[Stream]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a file"
            raise InputMissing(f"{setting}={str(path)!r} is {kind}", hint="name the image in it")
        file = path.open("rb", buffering=0)
    except OSError as err:
        raise _unreadable(path, setting, err) from err
    with file:
        # Of the file that is read, whatever has its name by now.
        known = Stamp.of(os.fstat(file.fileno()))
        terms.judge(known.size, f"{setting}={str(path)!r}")

        def chunks() -> Iterator[bytes]:
            received = 0
            while True:
                try:
                    chunk = file.read(CHUNK)
                except OSError as err:
                    raise _unreadable(path, setting, err) from err
                if not chunk:
                    break
                received += len(chunk)
                yield chunk
            # Somebody wrote to the file meanwhile, as `rsync --inplace` does and `cp`.
            if received != known.size or Stamp.of(os.fstat(file.fileno())) != known:
                raise SourceUnavailable(
                    f"{setting}={str(path)!r} changed while it was copied",
                    hint="something still writes to it; try again when that is done",
                )

        yield Stream(chunks(), known.size, "copied", known)


def _unreadable(path: Path, setting: str, err: OSError) -> InputMissing:
    return InputMissing(
        f"{setting}={str(path)!r} cannot be read: {err.strerror or err}",
        hint="the path is one in the container; is the volume mounted?",
    )
