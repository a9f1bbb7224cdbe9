"""Numbers of a qcow2 file, many at a time."""

import sys
from array import array
from typing import BinaryIO

# Array types by bytes of a number.
_TYPES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def read(file: BinaryIO, offset: int, count: int, width: int = 8) -> "array[int]":
    """`count` numbers of `width` bytes each, from `offset` on, where all of them are."""
    file.seek(offset)
    numbers = array(_TYPES[width], file.read(count * width))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
