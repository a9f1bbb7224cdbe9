"""The guests, where VMs on the cluster fetch them from."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.cluster.target import GUESTS, Target
from tests.guests import debian, tiny

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Guest:
    """Values for `image.source` and `image.checksum`."""

    source: str
    checksum: str


class Guests:
    """Each is built and served when it is asked for."""

    def __init__(self, target: Target) -> None:
        self._target = target

    @cached_property
    def tiny(self) -> Guest:
        """Serves ssh within seconds; reads user-data's keys and little else."""
        return self._serve("tiny", tiny.image)

    @cached_property
    def debian(self) -> Guest:
        """Has the real cloud-init."""
        return self._serve("debian", debian.image)

    def _serve(self, name: str, image: Callable[[], Path]) -> Guest:
        """`<base>/tiny/tiny.qcow2`, and beside it the file with its checksum."""
        file = f"{name}.qcow2"
        if self._target.own is None:
            base = f"{os.environ[GUESTS].rstrip('/')}/{name}"
            return Guest(f"{base}/{file}", f"{base}/{SUMS}")
        built = image()
        with built.open("rb") as content:
            checksum = hashlib.file_digest(content, "sha256").hexdigest()
        cluster = self._target.own
        sums = cluster.write(f"{name}/{SUMS}", f"{checksum}  {file}\n".encode())
        return Guest(cluster.publish(built, f"{name}/{file}"), sums)
