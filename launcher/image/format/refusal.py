"""The words in which an image of any format is refused."""

from launcher.host.errors import ImageRefused
from launcher.image.progress import size as shown_size

SECTOR = 512

DAMAGED_HINT = "it may have been cut short or damaged where it comes from"


def refused(*reasons: str) -> ImageRefused:
    """The error for an image of any format that may not be used, for `reasons`."""
    listed = "".join(f"\n  - {each}" for each in reasons) if len(reasons) > 1 else reasons[0]
    return ImageRefused(
        f"the image may not be used: {listed}",
        hint="`qemu-img convert -O qcow2 <old> <new>.qcow2`, run where the image is trusted, makes "
        "one that stands alone",
    )


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


def damaged(reason: str) -> ImageRefused:
    """The error for an image that contradicts itself, or that is not all there, for `reason`."""
    return ImageRefused(f"the image is damaged: {reason}", hint=DAMAGED_HINT)
