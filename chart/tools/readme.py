"""chart/README.md: the prose of README.in.md with the tables of values in it."""

import json
from itertools import groupby
from pathlib import Path

from chart.tools.values import Value, read

PROSE = Path(__file__).with_name("README.in.md")
PLACE = "<!-- values -->\n"


def text() -> str:
    """:raise ValueError: when the prose does not say where the tables go."""
    before, place, after = PROSE.read_text("utf-8").partition(PLACE)
    if not place:
        raise ValueError(f"{PROSE.name} has no line {PLACE.strip()}")
    made = "This page is generated from `tools/README.in.md` and `values.yaml` by `./dev docs`."
    return f"<!-- {made} -->\n\n{before}{tables(read())}{after}"


def tables(values: list[Value]) -> str:
    parts = []
    for section, group in groupby(values, key=lambda value: value.section):
        rows = "".join(_row(value) for value in group)
        parts.append(f"### {section}\n\n| value | default | meaning |\n|---|---|---|\n{rows}")
    return "\n".join(parts)


def _row(value: Value) -> str:
    star = " *" if value.is_release else ""
    return f"| `{value.name}`{star} | {_default(value)} | {_cell(value.meaning)} |\n"


def _default(value: Value) -> str:
    if value.default_text:
        return _cell(value.default_text)
    if value.default in ("", [], {}):
        return "none"
    if isinstance(value.default, str):
        return f"`{value.default}`"
    return _cell(f"`{json.dumps(value.default)}`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
