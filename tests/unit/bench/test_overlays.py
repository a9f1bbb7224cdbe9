"""Which writes are measured, and on what."""

from itertools import pairwise

import pytest

from tests.bench.disk import measure
from tests.bench.disk.overlays import MIB, WRITE, Writes, step

SCALES = [measure.FULL, measure.QUICK]
# Of our overlays; a default one has smaller ones.
CLUSTER = 128 << 10


@pytest.mark.parametrize("scale", SCALES)
def test_each_write_meets_a_cluster_of_its_own(scale: measure.Scale) -> None:
    size = scale.size * MIB
    places = [number * step(size) % size for number in range(scale.number)]
    assert all(place % WRITE == 0 for place in places)
    assert len({place // CLUSTER for place in places}) == scale.number


@pytest.mark.parametrize("scale", SCALES)
def test_writes_are_far_from_each_other(scale: measure.Scale) -> None:
    size = scale.size * MIB
    places = [number * step(size) % size for number in range(scale.number)]
    assert min(abs(a - b) for a, b in pairwise(places)) > size // 4


def test_no_place_is_written_twice_before_all_were() -> None:
    size = measure.QUICK.size * MIB
    places = {number * step(size) % size for number in range(size // WRITE)}
    assert len(places) == size // WRITE


def test_step_is_one_that_qemu_img_takes() -> None:
    assert step(measure.FULL.size * MIB) < 1 << 31


def test_what_is_written_is_data_and_made_to_last() -> None:
    argv = Writes(number=100, depth=16, size=64 * MIB).argv("driver=qcow2")
    words = dict(pairwise(argv))
    assert words["--flush-interval"] == words["-c"] == "100"
    assert words["-d"] == "16"
    assert words["--pattern"] != "0"
