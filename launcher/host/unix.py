"""Unix sockets that others connect to."""

from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from socket import AF_UNIX, socket

from launcher.host.errors import StorageError

# Connections that wait to be taken; one more is refused by the kernel.
BACKLOG = 16


@contextmanager
def listening(path: Path) -> Iterator[socket]:
    """A socket that listens at `path`, for our own user alone. The name goes with the context.

    It is bound by a relative name: a QEMU that is handed it removes the name it finds when it
    ends, and where QEMU stands that name leads nowhere. It may not write to our folder, and would
    complain.

    :raise StorageError: when it cannot be made there.
    """
    with socket(AF_UNIX) as end:
        try:
            with suppress(FileNotFoundError):
                path.unlink()
            with chdir(path.parent):
                end.bind(path.name)
            # Nobody gets in before it listens.
            path.chmod(0o600)
            end.listen(BACKLOG)
        except OSError as err:
            raise StorageError(f"the socket {path} cannot be made: {err.strerror}") from err
        try:
            yield end
        finally:
            with suppress(OSError):
                path.unlink()
