"""How long qemu-img may take."""

from launcher.image.format import patience

TIB = 1 << 40


def test_larger_disks_have_more_time() -> None:
    assert patience.data(0) == patience.tables(0) == 600
    assert patience.data(TIB) > TIB / (4 << 20)


def test_tables_have_the_time_that_they_take() -> None:
    """Some 300 MiB for each TiB, written in place, and some of it several times."""
    assert 1800 < patience.tables(TIB) < 10_000
