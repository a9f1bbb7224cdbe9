"""What benchmarks print."""

from tests.bench import table


def test_cell_has_median_and_best() -> None:
    assert table.cell([3.0, 1.0, 2.0]) == "2.00 (1.00)"
    assert table.cell([300, 100, 200], digits=0, best=max) == "200 (300)"
    assert table.cell([1.234], ratio=0.956, digits=1) == "1.2 (1.2)  × 0.96"


def test_columns_are_aligned() -> None:
    rows = [("", "a", "long title"), ("first", "10.5", "1"), ("second one", "1", "")]
    assert table.aligned(rows).splitlines() == [
        "                a   long title",
        "first        10.5            1",
        "second one      1",
    ]


def test_aims_are_met_or_missed() -> None:
    assert table.at_least("speed", 0.95, 0.95) == "speed: 0.95; aim: at least 0.95, met"
    assert table.at_least("speed", 0.95, 0.9499).endswith("MISSED")
    assert table.at_most("memory", 64, 63.5) == "memory: 63.50; aim: at most 64, met"
    assert table.at_most("memory", 64, 64.5).endswith("MISSED")
