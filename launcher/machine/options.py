"""QEMU's way of writing an option: `-flag first,key=value,…`, commas in values doubled."""

from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | bool | Path | None
Values = dict[str, Value]
Words = tuple[str, ...]


def option(flag: str, first: str = "", values: Mapping[str, Value] | None = None) -> Words:
    """One option as two words. Keys are QEMU's own names; None leaves a key out; bools are on, off.

    >>> option("-device", "virtio-blk-pci", {"drive": "a,b", "num-queues": 2, "share-rw": False})
    ('-device', 'virtio-blk-pci,drive=a,,b,num-queues=2,share-rw=off')
    """
    parts = [escape(first)] if first else []
    for key, value in (values or {}).items():
        if value is not None:
            parts.append(f"{key}={text(value)}")
    return flag, ",".join(parts)


def text(value: Value) -> str:
    match value:
        case True:
            return "on"
        case False:
            return "off"
        case _:
            return escape(str(value))


def escape(value: str) -> str:
    """QEMU ends a value at a comma, and reads two as one."""
    return value.replace(",", ",,")


def paste(argv: Sequence[str]) -> str:
    """An argv as a shell takes it, each option with its value on a line of its own."""
    import shlex

    lines = [shlex.quote(argv[0])]
    for word in argv[1:]:
        if word.startswith("-"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += f" {shlex.quote(word)}"
    return " \\\n  ".join(lines)
