"""What the settings say of how a server is asked."""

from pathlib import Path
from typing import NamedTuple, Self

from launcher.host.errors import ImageRefused
from launcher.image.progress import size
from launcher.settings.table import Settings


class Terms(NamedTuple):
    """`stall`: seconds without a byte after which a request is given up and made again.

    `patience`: seconds that the whole may take. `most`: bytes that it may have. `headers_file` and
    `netrc_file` hold what the server of the source, `home`, wants to see.
    """

    stall: float = 60.0
    patience: float = 4 * 3600.0
    headers_file: Path | None = None
    netrc_file: Path | None = None
    home: str = ""
    most: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            stall=float(settings.fetch_stall_timeout),
            patience=float(settings.fetch_timeout),
            headers_file=settings.img_headers_file,
            netrc_file=settings.img_netrc_file,
            home=settings.img_source or "",
            most=settings.img_max_size,
        )

    def judge(self, length: int | None, shown: str) -> None:
        """Refuse what is said to have `length` bytes before any of them come.

        :raise ImageRefused:
        """
        if length is not None and self.most is not None and length > self.most:
            raise ImageRefused(
                f"{shown} has {length} bytes ({size(length)}); IMG_MAX_SIZE accepts "
                f"{size(self.most)}"
            )


USUAL = Terms()
