"""From exec to QMP, to a running guest and to ssh, with the base and the pet already there."""

import tempfile
from functools import partial
from pathlib import Path

from tests.bench import place, table
from tests.bench.start.contenders import BareQemu, Shell, Startvm
from tests.bench.turns import ratio, rounds
from tests.guests import tiny
from tests.pods.ssh import make_key

# Starts are quick and noisy, boots slow and steady.
STARTS, BOOTS = 15, 5


def main(*, quick: bool) -> None:
    """Measure all, in turn, and print the table."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        folder, image = Path(name), tiny.image()
        machine = place.machine(folder)
        key = make_key(folder)
        ours = Startvm(folder, key, image, "startvm")
        others = [Shell(folder, key, image, "shell"), BareQemu(folder, key, image, "qemu")]
        contenders = [ours, *others]
        # Ours fetches the base, which the others then find; each makes its pet, and each guest
        # its host key.
        for each in contenders:
            each.measure(to_ssh=True)
        starts = rounds(
            [partial(each.measure, to_ssh=False) for each in contenders], 1 if quick else STARTS
        )
        boots = rounds(
            [partial(each.measure, to_ssh=True) for each in contenders], 1 if quick else BOOTS
        )
    rows = [
        ("", "startvm", "shell script", "QEMU alone"),
        line("QMP ready", [[each.qmp for each in mine] for mine in starts]),
        line("guest running", [[each.running for each in mine] for mine in starts]),
        line("ssh", [[each.ssh or 0.0 for each in mine] for mine in boots]),
    ]
    print(f"\n{machine}\n")
    print(
        "From exec to …: milliseconds, median (lowest)\n"
        "×: startvm's time over it, median of rounds\n"
    )
    print(table.aligned(rows))


def line(title: str, seconds: list[list[float]]) -> tuple[str, ...]:
    """One row of the table."""
    ours, *others = ([each * 1000 for each in mine] for mine in seconds)
    cells = [table.cell(mine, ratio=ratio(ours, mine), digits=0) for mine in others]
    return title, table.cell(ours, digits=0), *cells
