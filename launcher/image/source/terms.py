"""What the settings say of how a server is asked."""

from pathlib import Path
from typing import NamedTuple, Self

from launcher.settings.table import Settings


class Terms(NamedTuple):
    """`stall`: seconds without a byte after which a request is given up and made again.

    `patience`: seconds that the whole may take. `headers_file` and `netrc_file` hold what the
    server of the source, `home`, wants to see.
    """

    stall: float = 60.0
    patience: float = 4 * 3600.0
    headers_file: Path | None = None
    netrc_file: Path | None = None
    home: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            stall=float(settings.fetch_stall_timeout),
            patience=float(settings.fetch_timeout),
            headers_file=settings.img_headers_file,
            netrc_file=settings.img_netrc_file,
            home=settings.img_source or "",
        )


USUAL = Terms()
