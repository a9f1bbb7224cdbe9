"""The errors for images that are refused, of any format."""

from collections.abc import Sequence

from launcher.host.errors import ImageRefused
from launcher.image.progress import size as shown_size

SECTOR = 512

STANDALONE_HINT = (
    "`qemu-img convert -O qcow2 <old> <new>.qcow2`, run where the image is trusted, makes one that "
    "stands alone"
)
DAMAGED_HINT = "it may have been cut short or damaged where it comes from"


def refused(*reasons: str, hint: str = STANDALONE_HINT) -> ImageRefused:
    """The error for an image of any format that may not be used, for `reasons`."""
    return ImageRefused(f"the image may not be used: {_listed(reasons)}", hint=hint)


def damaged(*reasons: str) -> ImageRefused:
    """The error for an image that contradicts itself, or that is not all there, for `reasons`."""
    return ImageRefused(f"the image is damaged: {_listed(reasons)}", hint=DAMAGED_HINT)


def odd_size(virtual_size: int, most: int) -> str:
    """What is wrong with a disk of so many bytes, in a format of any kind; empty if nothing is."""
    if virtual_size > most:
        return (
            f"it claims a disk of {virtual_size} bytes ({shown_size(virtual_size)}); IMG_MAX_SIZE "
            f"accepts {shown_size(most)}"
        )
    if virtual_size < SECTOR:
        return f"it claims a disk of {virtual_size} bytes, less than a sector"
    return ""


def _listed(reasons: Sequence[str]) -> str:
    return "".join(f"\n  - {each}" for each in reasons) if len(reasons) > 1 else reasons[0]
