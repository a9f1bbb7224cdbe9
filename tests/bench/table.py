"""What benchmarks print: text that can be pasted into docs/performance.md as it is."""

import statistics
from collections.abc import Callable, Iterable, Sequence

GAP = "   "


def cell(
    values: Sequence[float],
    *,
    ratio: float | None = None,
    digits: int = 2,
    best: Callable[[Iterable[float]], float] = min,
) -> str:
    """The median, the best in brackets, and a ratio: `1.23 (1.19)  × 0.97`.

    The best shows how much of the median is noise. `best` is max where more is better.
    """
    text = f"{statistics.median(values):.{digits}f} ({best(values):.{digits}f})"
    return text if ratio is None else f"{text}  × {ratio:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many cells each: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        GAP.join(
            text.rjust(width) if number else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def at_least(what: str, limit: float, value: float) -> str:
    """A line that says whether an aim is met."""
    return _aim(what, f"at least {limit:g}", value, met=value >= limit)


def at_most(what: str, limit: float, value: float) -> str:
    return _aim(what, f"at most {limit:g}", value, met=value <= limit)


def _aim(what: str, limit: str, value: float, *, met: bool) -> str:
    return f"{what}: {value:.2f}; aim: {limit}, {'met' if met else 'MISSED'}"
