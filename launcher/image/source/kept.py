"""The files of a download under way, which the next try goes on with.

::

    fetch-<key>.part   the data, with holes where parts are missing
    fetch-<key>.json   which parts are there for good, and of what

`<key>` is of the whole address, so what is kept for one source is never taken for another.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from launcher.host.durable import sync_names
from launcher.host.errors import Busy, ImageRefused
from launcher.image.source import parts
from launcher.image.source.parts import Board, Listing
from launcher.image.source.ranges import Pinned
from launcher.image.store.lease import key
from launcher.image.store.record import Address


class Files(NamedTuple):
    """`data` and `listing` as above; `key` and `address`: of what. One process has all of it.

    `is_in_place`: nobody else can still write to the data. Else a fetcher that was thought to be
    dead might, so what it did is copied first. `check`: raises `Busy` where we are such a fetcher;
    the files of those names are another one's by then.
    """

    folder: Path
    key: str
    address: Address
    is_in_place: bool
    check: Callable[[], None]

    @property
    def stem(self) -> str:
        """What the names of all files of this download begin with."""
        return f"fetch-{self.key}"

    @property
    def data(self) -> Path:
        return self.folder / f"{self.stem}.part"

    @property
    def listing(self) -> Path:
        return self.folder / f"{self.stem}.json"

    def read(self) -> Listing | None:
        """The list, if it is of this address and of the data that are there."""
        try:
            listing = Listing.from_json(self.listing.read_text(encoding="utf-8"))
            status = self.data.lstat()
        except (OSError, ValueError):
            return None
        if listing.address != self.address or listing.part_size != parts.PART:
            return None
        known = (listing.inode, listing.pinned.length)
        return listing if known == (status.st_ino, status.st_size) else None

    def write(self, listing: Listing) -> None:
        """Replace the list, in one step and for good.

        :raise Busy: see `check`.
        """
        new = self._beside(self.listing)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(listing.to_json())
            file.flush()
            os.fsync(fd)
        self.check()
        new.replace(self.listing)
        sync_names(self.folder)

    def begin(self, pinned: Pinned) -> int:
        """Empty data of the right length, as an open file; the list is gone.

        :raise Busy: see `check`.
        """
        self.discard()
        return _create(self.data, pinned.length)

    def resume(self, listing: Listing) -> int:
        """The data that `listing` lists, as an open file that nobody else writes to.

        A crash may have left a base whose second name this is. That one is never written to.

        :raise Busy: see `check`.
        """
        self.check()
        status = self.data.lstat()
        is_ours = status.st_nlink == 1 and status.st_mode & 0o200
        if self.is_in_place and is_ours:
            # The pod that died may have been another user's. What it wrote can be read.
            with suppress(PermissionError):
                return os.open(self.data, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        return self._copy(listing)

    def _copy(self, listing: Listing) -> int:
        board = Board(listing.pinned.length, listing.part_size)
        place = self._beside(self.data)
        old = os.open(self.data, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            new = _create(place, listing.pinned.length)
            try:
                for index in listing.done:
                    copy(old, new, *board.whole(index))
                os.fdatasync(new)
                self.check()  # copying takes its time
                # Between these two the list is of other data, by its inode, and so is none.
                place.replace(self.data)
                self.write(listing._replace(inode=os.fstat(new).st_ino))
            except BaseException:
                os.close(new)
                raise
        finally:
            os.close(old)
        return new

    def name(self, fd: int, place: Path) -> Path:
        """Give the data open as `fd` the name `place`, too, which is ours alone: whoever took over
        may have put other data in their first place. Returns where they are to be read: there
        still, where files have one name only (SMB, FUSE).

        Not told by an inode's number, which some FUSE file systems make up at each look.
        """
        place.unlink()
        try:
            # Without a folder, which an absolute path has no need of, it links the link in /proc.
            os.link(f"/proc/self/fd/{fd}", place, src_dir_fd=fd, follow_symlinks=True)
        except OSError as err:
            self.check()
            if not os.fstat(fd).st_nlink:
                raise OSError(f"{self.data} was removed by somebody else") from err
            return self.data
        return place

    def discard(self) -> None:
        """Remove all of it; the list first, since data without one mean nothing.

        :raise Busy: see `check`.
        """
        self.check()
        for path in (self.listing, self.data):
            self._beside(path)
            path.unlink(missing_ok=True)
        # Or a power cut might bring the list back, beside data that began anew.
        sync_names(self.folder)

    @staticmethod
    def _beside(path: Path) -> Path:
        """What is to take the place of `path`; one that a crash left is removed."""
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        return new


@contextmanager
def kept(
    folder: Path, source: str, *, continue_in_place: bool, check: Callable[[], None]
) -> Iterator[Files]:
    """The files of the download of `source` in `folder`. They need not be there.

    At the end they are gone: used, or of no use. After a failure they stay, if there is a list.

    :param continue_in_place: see `Files.is_in_place`.
    :param check: see `Files.check`. What is another one's by then stays.
    """
    files = Files(folder, key(source), Address.of(source), continue_in_place, check)
    try:
        yield files
    except BaseException as err:
        if isinstance(err, ImageRefused) or not files.listing.exists():
            with suppress(Busy):
                files.discard()
        raise
    with suppress(Busy):
        files.discard()


def _create(path: Path, length: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        # Whatever the umask: what becomes of it, a base, is no secret, and the user that qemu-img
        # runs as has to read it.
        os.fchmod(fd, 0o644)
        os.ftruncate(fd, length)
    except BaseException:
        os.close(fd)
        raise
    return fd


def copy(source: int, target: int, first: int, end: int) -> None:
    """Copy bytes between two open files at the same place; in the file system, where it can."""
    while first < end:
        try:
            count = os.copy_file_range(source, target, end - first, first, first)
        except OSError:
            # Not on every file system, nor between any two.
            data = os.pread(source, min(1 << 20, end - first), first)
            count = os.pwrite(target, data, first)
        if not count:
            raise OSError(f"the file ends at {first}")
        first += count
