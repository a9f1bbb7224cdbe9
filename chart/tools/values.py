"""values.yaml with what its comments say of each value.

Comments are read from the lines right above a key. Which lines those are comes from PyYAML's nodes,
which know where they were written.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).parents[1]
VALUES = CHART / "values.yaml"

ANNOTATION = re.compile(r"@(schema|default|release|vms|section)\b *(.*)")


class Value(NamedTuple):
    """One value that can be set.

    `fragment`: what @schema says; `is_release`: of the whole release, so not under vms;
    `is_vms`: the map of VMs itself.
    """

    path: tuple[str, ...]
    default: Any
    meaning: str
    fragment: dict[str, Any]
    default_text: str
    is_release: bool
    is_vms: bool
    section: str

    @property
    def name(self) -> str:
        return ".".join(self.path)


class _Comment(NamedTuple):
    meaning: str
    annotations: dict[str, str]


def read(path: Path = VALUES) -> list[Value]:
    """Every value of the chart, in the file's order.

    :raise ValueError: for a value without a comment, or a comment that is not understood.
    """
    text = path.read_text("utf-8")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{path.name} is not a mapping")
    return list(_values(node, (), text.splitlines()))


def _values(node: yaml.MappingNode, above: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, value in node.value:
        line = key.start_mark.line
        path = (*above, key.value)
        comment = _comment(lines, line)
        if isinstance(value, yaml.MappingNode) and value.value and not comment.meaning:
            yield from _values(value, path, lines)
            continue
        if not comment.meaning:
            raise ValueError(f"values.yaml, line {line + 1}: {'.'.join(path)} has no `# -- text`")
        annotations = comment.annotations
        yield Value(
            path=path,
            default=yaml.safe_load(yaml.serialize(value)),
            meaning=comment.meaning,
            fragment=yaml.safe_load(annotations.get("schema", "{}")),
            default_text=annotations.get("default", ""),
            is_release="release" in annotations,
            is_vms="vms" in annotations,
            section=_section(lines, line),
        )


def _comment(lines: list[str], line: int) -> _Comment:
    """The block of comments that ends right above `line`, from its `# --` on."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    words: list[str] = []
    annotations: dict[str, str] = {}
    for text in (each.lstrip().removeprefix("#").strip() for each in lines[first:line]):
        if match := ANNOTATION.fullmatch(text):
            annotations[match[1]] = match[2]
        elif text.startswith("@"):
            raise ValueError(f"values.yaml, above line {line + 1}: {text} is not known")
        elif text.startswith("--"):
            words = [text.removeprefix("--").strip()]
        elif words:
            words.append(text)
    return _Comment(" ".join(words), annotations)


def _section(lines: list[str], line: int) -> str:
    for text in reversed(lines[:line]):
        if text.startswith("# @section "):
            return text.removeprefix("# @section ")
    return ""
