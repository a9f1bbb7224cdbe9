"""Hold the lease of an address: take it, keep showing that we live, and say how it ended."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.host.errors import Busy, ImageRefused, LauncherError, SourceUnavailable
from launcher.image import temporary
from launcher.image.store import lease_files
from launcher.image.store.lease import Claim, Kernel, Outcome, Timing
from launcher.image.store.lease_files import Seen

logger = logging.getLogger("startvm")


class Lease:
    """A lease that we hold. A thread of its own writes the record, whatever the fetch is at.

    `predecessor`: the record of the fetch that ended or died before, if its lease was there.
    """

    def __init__(
        self, folder: Path, key: str, generation: int, fd: int, claim: Claim, timing: Timing
    ) -> None:
        self.predecessor: Claim | None = None
        self._folder, self._key, self._generation = folder, key, generation
        self._fd = fd
        self._claim = claim
        self._timing = timing
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    @property
    def continue_in_place(self) -> bool:
        """Whether files that earlier fetches of this address left may be written to again.

        If not, one of them may still be at work, on a machine that was paused or cut off: what it
        wrote may be copied, since it is proved at the end, but not shared with it.
        """
        return self._claim.sole

    def tell(self, doing: str) -> None:
        """Let followers know what is being done.

        :raise Busy: see `check`.
        """
        self.check()
        with self._writing:
            self._claim = self._claim._replace(doing=doing)

    def is_in_force(self) -> bool:
        """Whether no other one took over."""
        with self._writing:
            highest = (lease_files.generations(self._folder, self._key) or [0])[-1]
            return highest == self._generation and self._is_ours()

    def check(self) -> None:
        """Make sure that it is still ours. To be called before anything gets a name.

        :raise Busy: when another one took over.
        """
        if self.is_in_force():
            return
        seen = lease_files.look(self._folder, self._key, self._claim.kernel.boot)
        successor = seen.claim.holder if seen and seen.claim else "another one"
        raise Busy(
            f"the fetch of {self._claim.source} was taken over by {successor}",
            hint=f"this one gave no sign of life for {self._timing.patience:.0f} s, as after a "
            "pause of its node; started again, it follows the other one",
        )

    def begin(self) -> None:
        self._thread.start()

    def end(self, outcome: Outcome, message: str, hint: str) -> None:
        """Stop, say how it ended, and remove the lease unless somebody has to read that.

        Where an earlier fetch may be at work, it stays, too, for the next one to know of that; also
        beside a base that is ready, which may be removed and fetched again while that one sleeps.
        """
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        try:
            self._write(outcome=outcome, message=message, hint=hint)
            followed = lease_files.mark(self._path).exists()
            is_read = followed and outcome != "ready"
            if self._is_ours() and self._claim.sole and not is_read:
                _remove(self._folder, self._key, self._generation)
        except OSError as err:
            logger.warning("%s cannot be ended: %s", self._path, err)
        finally:
            os.close(self._fd)

    @property
    def _path(self) -> Path:
        return lease_files.path(self._folder, self._key, self._generation)

    def _is_ours(self) -> bool:
        """Whether the file of that name is the one we made: numbers begin anew when all are gone.
        Not by its inode, which some FUSE file systems make up at each look."""
        seen = lease_files.look_at(self._path, self._generation, self._claim.kernel.boot)
        return seen is not None and seen.id == self._claim.id

    def _beat(self) -> None:
        while not self._over.wait(self._timing.beat):
            with suppress(OSError):
                self._write()

    def _write(self, outcome: Outcome = "", message: str = "", hint: str = "") -> None:
        with self._writing:
            self._claim = self._claim._replace(
                beats=self._claim.beats + 1, outcome=outcome, message=message, hint=hint
            )
            os.pwrite(self._fd, self._claim.to_bytes(), 0)


def take(folder: Path, key: str, claim: Claim, after: Seen | None, timing: Timing) -> Lease | None:
    """Take the lease of `key`; None if somebody else was faster, or things have changed.

    :param claim: our record; `kernel` and `locked` are filled in.
    :param after: the look at the lease in force that ended, died or fell silent; None where there
        was none.
    """
    with temporary.file(folder, f"fetch-{key}.lease") as part:
        fd = os.open(part, os.O_RDWR | os.O_CLOEXEC)
        try:
            # The file just made lets NFS know that its list of names is out of date.
            found = lease_files.generations(folder, key)
            if (found[-1] if found else 0) != (after.generation if after else 0):
                return None
            generation = after.generation + 1 if after else 1
            claim = _publish(fd, part, lease_files.path(folder, key, generation), claim)
            held = Lease(folder, key, generation, fd, claim, timing)
            held.predecessor = after.claim if after else None
            if not _is_next(folder, key, generation, after, claim):
                lease_files.path(folder, key, generation).unlink(missing_ok=True)
                return None
            _remove(folder, key, generation - 1)
            held.begin()
            fd = -1
            return held
        except FileExistsError:
            return None
        finally:
            if fd >= 0:
                os.close(fd)


def _publish(fd: int, part: Path, path: Path, claim: Claim) -> Claim:
    """Give our file `part`, open as `fd`, locked and with its record, the name `path`. Returns the
    record.

    :raise FileExistsError: when somebody else was faster.
    """
    claim = _fill(fd, claim)
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links (SMB, FUSE). An empty file says nothing of its holder, so nobody calls it
        # dead before it has its lock and its record.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        new = os.open(path, flags, 0o644)
        os.dup2(new, fd, inheritable=False)
        os.close(new)
        return _fill(fd, claim)
    return claim


def _fill(fd: int, claim: Claim) -> Claim:
    kernel = Kernel(claim.kernel.boot, os.fstat(fd).st_dev)
    claim = claim._replace(kernel=kernel, locked=False)
    os.pwrite(fd, claim.to_bytes(), 0)
    claim = claim._replace(locked=lease_files.lock(fd))
    os.pwrite(fd, claim.to_bytes(), 0)
    return claim


def _is_next(folder: Path, key: str, generation: int, after: Seen | None, claim: Claim) -> bool:
    """Whether our lease, just made, follows the one that was looked at, and none other.

    Between the look and the making a whole fetch may have come and gone, and a new one begun at
    the first number: ours would then stand above one that lives.
    """
    if after is None:
        return lease_files.generations(folder, key) == [generation]
    path = lease_files.path(folder, key, after.generation)
    seen = lease_files.look_at(path, after.generation, claim.kernel.boot)
    return seen is not None and seen.id == after.id


def _remove(folder: Path, key: str, last: int) -> None:
    """Remove leases up to `last`, and what belongs to them; the newest one last of all."""
    for generation in lease_files.generations(folder, key):
        if generation <= last:
            path = lease_files.path(folder, key, generation)
            with suppress(OSError):
                lease_files.mark(path).unlink(missing_ok=True)
            with suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def holding(lease: Lease) -> Iterator[Lease]:
    """End `lease` with the context, by how that ended."""
    outcome: tuple[Outcome, str, str] = ("stopped", "", "")
    try:
        yield lease
        outcome = ("ready", "", "")
    except LauncherError as err:
        kind: Outcome = "failed"
        if isinstance(err, ImageRefused):
            kind = "refused"
        elif isinstance(err, SourceUnavailable):
            kind = "unavailable"
        outcome = (kind, err.message, err.hint)
        raise
    finally:
        lease.end(*outcome)
