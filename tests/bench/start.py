"""From exec to QMP, to a running guest and to ssh, with the base and the pet already there."""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contenders import BareQemu, Contender, Marks, Shell, Startvm
from tests.guests import tiny
from tests.pods.ssh import make_key

# Starts are quick and noisy, boots slow and steady.
STARTS, BOOTS = 15, 5


def main() -> None:
    """Measure all, in turn, and print the table."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        folder, image = Path(name), tiny.image()
        key = make_key(folder)
        ours = Startvm(folder, key, image, "startvm")
        others = [Shell(folder, key, image, "shell"), BareQemu(folder, key, image, "qemu")]
        contenders = [ours, *others]
        # Ours fetches the base, which the others then find; each makes its pet, and each guest
        # its host key.
        for each in contenders:
            each.measure(to_ssh=True)
        starts = rounds(contenders, STARTS, to_ssh=False)
        boots = rounds(contenders, BOOTS, to_ssh=True)
    print(
        "\nexec to …, median (lowest), milliseconds; ratio: median of startvm over it, in pairs\n"
    )
    print(f"{'':<16}{'startvm':>16}{'shell script':>24}{'QEMU alone':>24}")
    print(line("QMP ready", [[each.qmp for each in mine] for mine in starts]))
    print(line("guest running", [[each.running for each in mine] for mine in starts]))
    print(line("ssh", [[each.ssh or 0.0 for each in mine] for mine in boots]))


def rounds(contenders: Sequence[Contender], count: int, *, to_ssh: bool) -> list[list[Marks]]:
    """One list of marks for each contender. They take turns, so that all meet the same noise."""
    marks: list[list[Marks]] = [[] for _ in contenders]
    for _ in range(count):
        for contender, mine in zip(contenders, marks, strict=True):
            mine.append(contender.measure(to_ssh=to_ssh))
    return marks


def line(title: str, seconds: list[list[float]]) -> str:
    """One row of the table."""
    ours, *others = ([each * 1000 for each in mine] for mine in seconds)
    cells = [f"{statistics.median(ours):.0f} ({min(ours):.0f})".rjust(16)]
    for theirs in others:
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        text = f"{statistics.median(theirs):.0f} ({min(theirs):.0f})  × {ratio:.2f}"
        cells.append(text.rjust(24))
    return f"{title:<16}{''.join(cells)}"
