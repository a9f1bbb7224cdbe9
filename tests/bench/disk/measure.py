"""Small writes all over a pet: how many per second, and what they add to its file."""

from functools import partial
from typing import NamedTuple

from tests.bench import place, table
from tests.bench.disk.overlays import MIB, WRITE, Overlay, Writes, kinds, make_base
from tests.bench.turns import ratio, rounds


class Scale(NamedTuple):
    """`size`: MiB of the base. `number`: of writes, no more than it has clusters of 128 KiB."""

    size: int
    number: int
    rounds: int


FULL = Scale(size=4096, number=8192, rounds=7)
QUICK = Scale(size=64, number=64, rounds=1)

DEPTHS = (1, 16)

AIM_WRITES = 3
AIM_GROWTH = 10


class Result(NamedTuple):
    """Writes per second to places never written to, and then to the same ones; growth in bytes."""

    first: float
    again: float
    growth: int


def main(*, quick: bool) -> None:
    """Measure all kinds of overlays, in turn, and print the table."""
    scale = QUICK if quick else FULL
    with place.folder() as folder:
        machine = place.machine(folder)
        base = folder / "base.qcow2"
        make_base(base, scale.size * MIB)
        overlays = kinds(base, folder)
        rows = [("", *(each.name for each in overlays))]
        aims: list[str] = []
        growths: list[list[float]] = [[] for _ in overlays]
        for depth in DEPTHS:
            writes = Writes(scale.number, depth, scale.size * MIB)
            results = rounds([partial(measure, each, writes) for each in overlays], scale.rounds)
            first = [[each.first for each in mine] for mine in results]
            again = [[each.again for each in mine] for mine in results]
            for growth, mine in zip(growths, results, strict=True):
                growth += [each.growth / MIB for each in mine]
            rows.append(line(f"new places, depth {depth}", first))
            rows.append(line(f"the same again, depth {depth}", again))
            value = ratio(first[0], first[1])
            aims.append(
                table.at_least(f"over default qcow2, new places, depth {depth}", AIM_WRITES, value)
            )
        rows.append(growth_line("growth, MiB", growths))
    value = ratio(growths[1], growths[0])
    aims.append(table.at_least("default qcow2's growth over ours", AIM_GROWTH, value))
    written = scale.number * WRITE / MIB
    print(f"\n{machine}\n")
    print(
        f"{scale.number} writes of 4 KiB ({written:g} MiB) all over a base of {scale.size} MiB, "
        f"then a flush: writes per second, median (highest) of {scale.rounds}\n"
        "×: how many times as many berth does; how many times its growth; median of rounds\n"
    )
    print(table.aligned(rows))
    print("\n" + "\n".join(aims))


def measure(overlay: Overlay, writes: Writes) -> Result:
    """Both passes over a fresh overlay."""
    overlay.make()
    before = overlay.allocated()
    first = overlay.write(writes)
    growth = overlay.allocated() - before
    assert growth >= writes.number * WRITE, "not everything was written"
    return Result(first, overlay.write(writes), growth)


def line(title: str, rates: list[list[float]]) -> tuple[str, ...]:
    ours, *others = rates
    cells = [table.cell(mine, ratio=ratio(ours, mine), digits=0, best=max) for mine in others]
    return title, table.cell(ours, digits=0, best=max), *cells


def growth_line(title: str, sizes: list[list[float]]) -> tuple[str, ...]:
    ours, *others = sizes
    cells = [table.cell(mine, ratio=ratio(mine, ours), digits=1) for mine in others]
    return title, table.cell(ours, digits=1), *cells
