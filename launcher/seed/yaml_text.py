"""YAML or JSON text → values that JSON can carry, without the surprises of YAML 1.1.

To YAML 1.1, which PyYAML speaks, `52:54:00:12:34:56` is a number in base 60, `no` is false, `0755`
is 493 and `1.10` is 1.1. Here a word without quotes is

- true, false or null where YAML 1.2's core schema says so,
- a number only if JSON would write that number in the very same characters,
- else text,

so no value loses a character on its way to the guest. What YAML has beyond JSON and nobody writes
by hand (aliases, by which a kilobyte expands to gigabytes; tags; several documents) is refused,
and so is a key that is there twice, of which other readers drop one silently.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

# Deeper than anyone nests, and shallow enough for the recursion of every reader in the guest.
MAX_DEPTH = 32

WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
TEXT_TAGS = ("!", "tag:yaml.org,2002:str")


class NotAcceptedError(ValueError):
    """What is wrong with a text, as a clause; lines count from 1."""


def parse(data: bytes) -> Json:
    """Read one JSON or YAML document in UTF-8. An empty one is null.

    JSON is tried first, because importing a YAML parser takes longer than all that is done with it.

    :raise NotAcceptedError: when it is neither, or what this module's docstring refuses.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise NotAcceptedError(f"line {data.count(10, 0, err.start) + 1} is not UTF-8") from err
    try:
        value: Json = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except NotAcceptedError:
        raise
    except RecursionError as err:
        raise NotAcceptedError(f"it is nested deeper than {MAX_DEPTH} levels") from err
    except ValueError:
        return from_yaml(text)
    if not _is_shallow(value, MAX_DEPTH):
        raise NotAcceptedError(f"it is nested deeper than {MAX_DEPTH} levels")
    return value


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for key, value in pairs:
        if key in values:
            raise NotAcceptedError(f"it has the key {key!r} twice in one object")
        values[key] = value
    return values


def _no_constant(word: str) -> Json:
    raise NotAcceptedError(f"{word} is not a number in JSON")


def _is_shallow(value: Json, levels: int) -> bool:
    """Whether lists and objects are nested in `value` no deeper than `levels`."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)


def from_yaml(text: str) -> Json:
    """Read one YAML document.

    It is read from the parser's events. Those know no types and remember no anchors, so nothing
    is built before it has been looked at.

    :raise NotAcceptedError: see `parse`.
    """
    import yaml

    try:
        return _document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise NotAcceptedError(f"line {line}: {err.reason}") from err
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise NotAcceptedError(where + (err.problem or err.context or "it is not YAML")) from err


def _document(events: "Iterator[yaml.Event]") -> Json:
    import yaml

    value: Json = None
    seen = False
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if seen:
                raise _refused(event, "starts a second document; accepted: one")
            seen = True
            value = _value(events, next(events), MAX_DEPTH)
    return value


def _value(events: "Iterator[yaml.Event]", event: "yaml.Event", levels: int) -> Json:
    """The value that `event` begins, of which `events` has the rest."""
    import yaml

    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if not isinstance(event, yaml.CollectionStartEvent):
        raise _refused(event, "has an alias; write the value itself")
    if event.anchor or event.tag:
        raise _refused(event, "has an anchor or a tag; accepted: values without them")
    if not levels:
        raise _refused(event, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Json] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_value(events, item, levels - 1))
        return items
    values: dict[str, Json] = {}
    while not isinstance(start := next(events), yaml.MappingEndEvent):
        key = _key(start)
        if key in values:
            raise _refused(start, f"has the key {key!r} for the second time in one mapping")
        values[key] = _value(events, next(events), levels - 1)
    return values


def _key(event: "yaml.Event") -> str:
    """A key as it is written: JSON knows only text, so `on:` and `22:` can mean nothing else."""
    import yaml

    if not isinstance(event, yaml.ScalarEvent) or event.value == "":
        raise _refused(event, "has a key that is empty, a list or a mapping; accepted: text")
    _scalar(event)
    return event.value


def _scalar(event: "yaml.ScalarEvent") -> Json:
    if event.anchor or event.tag not in (None, *TEXT_TAGS):
        raise _refused(event, "has an anchor or a tag; accepted: values without them")
    if event.tag or event.style:
        return event.value
    return _word(event.value)


def _word(word: str) -> Json:
    """What a word without quotes means."""
    if word in WORDS:
        return WORDS[word]
    if not NUMBER.fullmatch(word):
        return word
    try:
        number: int | float = json.loads(word)
    except ValueError:
        # More digits than Python converts.
        return word
    return number if json.dumps(number) == word else word


def _refused(event: "yaml.Event", why: str) -> NotAcceptedError:
    mark = event.start_mark
    return NotAcceptedError(f"line {mark.line + 1} {why}" if mark else f"it {why}")
