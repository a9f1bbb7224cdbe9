"""QEMU's way of writing options, and a shell's of writing a command line."""

import shlex
from pathlib import Path

import pytest

from launcher.machine.options import Values, option, paste


def test_option() -> None:
    values: Values = {"drive": "a,b", "queues": 2, "share-rw": False, "bootindex": None, "x": True}
    assert option("-device", "virtio-blk-pci", values) == (
        "-device",
        "virtio-blk-pci,drive=a,,b,queues=2,share-rw=off,x=on",
    )


def test_option_without_a_first_word() -> None:
    assert option("-m", "", {"size": "1M"}) == ("-m", "size=1M")
    assert option("-netdev", "user") == ("-netdev", "user")


def test_first_word_is_a_value_too() -> None:
    assert option("-device", "a,b") == ("-device", "a,,b")


def test_zero_and_nothing_are_values() -> None:
    # 0 is no False and an empty text no None: `romfile=` switches the boot ROM off.
    assert option("-device", "d", {"a": 0, "b": 1, "romfile": ""}) == (
        "-device",
        "d,a=0,b=1,romfile=",
    )


@pytest.mark.parametrize("name", ["/a,b", "/a,,b", "/,", "/a=b,c"])
def test_no_comma_of_a_path_ends_its_value(name: str) -> None:
    _, text = option("-blockdev", "", {"file.filename": Path(name), "read-only": True})
    # QEMU reads two commas as one and ends a value at one.
    assert text.replace(",,", "\0").split(",") == [
        f"file.filename={name}".replace(",", "\0"),
        "read-only=on",
    ]


def test_pasted_line_is_the_argv_again() -> None:
    argv = [
        "qemu",
        "-name",
        "guest=a b",
        "-S",
        "-append",
        "quiet 'x' $HOME",
        "-m",
        "size=1M",
        "-x $y",
        "",
    ]
    assert shlex.split(paste(argv).replace("\\\n", "")) == argv


def test_pasted_line_has_one_option_a_line() -> None:
    assert paste(["qemu", "-S", "-m", "size=1M"]) == "qemu \\\n  -S \\\n  -m size=1M"
