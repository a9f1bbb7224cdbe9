"""Bytes that come one at a time, and not at all fast."""

import time
from io import BufferedIOBase

# Of what drips: how many single bytes, and how many seconds lie between them.
DROPS = 100
DROP = 0.05


def drip(file: BufferedIOBase, data: bytes) -> None:
    for at in range(min(DROPS, len(data))):
        file.write(data[at : at + 1])
        time.sleep(DROP)
    file.write(data[DROPS:])
