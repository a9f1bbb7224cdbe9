"""Images from a server on this machine: plain and packed ones, and the memory that it takes."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.bench import place, table
from tests.bench.fetch import contenders, images, stages
from tests.bench.fetch.contenders import ARIA2C, OURS, ROOT
from tests.bench.fetch.images import MIB, Image
from tests.bench.fetch.server import Server, serving
from tests.bench.turns import ratio, rounds

PEAK = "tests.bench.fetch.peak"


class Scale(NamedTuple):
    """Sizes in MiB of what is in the images; `cap`: MiB per second for each connection."""

    plain: int
    packed: dict[str, int]
    cap: int
    rounds: int
    peaks: int


# Packed ones take seconds each: the start of Python is no stage, and should not look like one.
FULL = Scale(plain=1024, packed={"gz": 384, "xz": 128, "zst": 1024}, cap=32, rounds=5, peaks=3)
QUICK = Scale(plain=8, packed={"gz": 4, "xz": 4, "zst": 4}, cap=32, rounds=1, peaks=1)

AIM_ARIA2C = 0.95
AIM_STAGE = 1.15
AIM_MEMORY = 64


def main(*, quick: bool) -> None:
    """Measure and print: plain images, then packed ones, then memory."""
    scale = QUICK if quick else FULL
    with place.folder() as folder:
        machine = place.machine(folder)
        files, work, own = (folder / name for name in ("files", "work", "nginx"))
        for each in (files, work, own):
            each.mkdir()
        with serving(files, own, cap=scale.cap) as server:
            image = images.random(files, scale.plain * MIB)
            packed = {
                name: images.packed(files, name, size * MIB) for name, size in scale.packed.items()
            }
            print(f"\n{machine}")
            show_plain(scale, image, server, work)
            show_packed(scale, packed, server, work)
            show_memory(scale, {"plain": image} | packed, server, work)


def show_plain(scale: Scale, image: Image, server: Server, work: Path) -> None:
    cases = {
        "no limit": server.free(image.path),
        f"{scale.cap} MiB/s per connection": server.capped(image.path),
    }
    columns: list[list[str]] = []
    aims: list[str] = []
    for case, url in cases.items():
        ours = contenders.ours(image, url, work)
        others = contenders.others(image, url, work)
        mine, *theirs = rounds([each.measure for each in (ours, *others.values())], scale.rounds)
        ratios = [ratio(each, mine) for each in theirs]
        cells = [table.cell(each, ratio=x) for each, x in zip(theirs, ratios, strict=True)]
        columns.append([case, table.cell(mine), *cells])
        value = dict(zip(others, ratios, strict=True))[ARIA2C]
        aims.append(table.at_least(f"speed over {ARIA2C}, {case}", AIM_ARIA2C, value))
    print(
        f"\nqcow2 with {scale.plain} MiB of random data: seconds, median (lowest) of {scale.rounds}"
        f"\n×: how many times as fast {OURS} is, median of rounds\n"
    )
    print(table.aligned(list(zip(["", OURS, *others], *columns, strict=True))))
    print("\n" + "\n".join(aims))


def show_packed(scale: Scale, packed: dict[str, Image], server: Server, work: Path) -> None:
    rows: list[tuple[str, ...]] = [
        ("", "MiB", OURS, "download", "unpack", "hash", "write", "(tool)")
    ]
    aims: list[str] = []
    for name, image in packed.items():
        url = server.free(image.path)
        parts: list[Callable[[], float]] = [
            contenders.ours(image, url, work).measure,
            partial(stages.download, url, work),
            partial(stages.unpack, image),
            partial(stages.digest, image),
            partial(stages.write, image, work),
            partial(stages.unpack_by_tool, image),
        ]
        ours, *alone, tool = rounds(parts, scale.rounds)
        slowest = [max(each) for each in zip(*alone, strict=True)]
        value = ratio(ours, slowest)
        size = f"{_mib(image.path)} → {_mib(image.inside)}"
        cells = [table.cell(each) for each in (*alone, tool)]
        rows.append((name, size, table.cell(ours, ratio=value), *cells))
        aims.append(table.at_most(f"{name}, time over its slowest stage", AIM_STAGE, value))
    print(
        f"\npacked qcow2: seconds, median (lowest) of {scale.rounds}"
        f"\n×: {OURS}'s time over that of the slowest stage alone, median of rounds\n"
    )
    print(table.aligned(rows))
    print("\n" + "\n".join(aims))


def show_memory(scale: Scale, all_images: dict[str, Image], server: Server, work: Path) -> None:
    rows = [("", "peak", "idle", "the fetch")]
    most = 0.0
    for name, image in all_images.items():
        fetching = contenders.ours(image, server.free(image.path), work, PEAK)
        peaks, idle = [], []
        for _ in range(scale.peaks):
            peak, modules = _peak(fetching)
            peaks.append(peak)
            idle.append(_idle(modules))
        taken = max(a - b for a, b in zip(peaks, idle, strict=True))
        most = max(most, taken)
        rows.append((name, f"{max(peaks):.1f}", f"{max(idle):.1f}", f"{taken:.1f}"))
    print(f"\nmemory: MiB resident, highest of {scale.peaks}\n")
    print(table.aligned(rows))
    print("\n" + table.at_most("memory of the fetch, MiB", AIM_MEMORY, most))


def _peak(fetching: contenders.Contender) -> tuple[float, Sequence[str]]:
    with tempfile.TemporaryDirectory(dir=fetching.folder) as name:
        _, printed = fetching.run(Path(name))
    said = json.loads(printed.splitlines()[-1])
    return said["peak"] / MIB, said["modules"]


def _idle(modules: Sequence[str]) -> float:
    done = subprocess.run(
        [sys.executable, "-m", PEAK, "idle"],
        input=json.dumps(modules),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    peak: int = json.loads(done.stdout)["peak"]
    return peak / MIB


def _mib(path: Path) -> int:
    return round(path.stat().st_size / MIB)
