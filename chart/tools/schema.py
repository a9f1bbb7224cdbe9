"""values.schema.json: draft 7, which every Helm that is promised understands. It is closed, so that
a misspelt value is an error and not a wish that nobody hears.
"""

import json
from typing import Any

from chart.tools.values import Value, read

Schema = dict[str, Any]

# What a label of a host name may be; a VM's name becomes part of one.
NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def text() -> str:
    return json.dumps(schema(read()), indent=2, ensure_ascii=False) + "\n"


def schema(values: list[Value]) -> Schema:
    """The schema of all values; a VM's under `vms` are the same ones but the release's.

    :raise ValueError: when values of one group are the release's and others are not.
    """
    of_vms: Schema = {}
    properties: Schema = {}
    for key, group in _groups(values).items():
        if len({value.is_release for value in group}) != 1:
            raise ValueError(f"{key}: either all of its values have @release, or none")
        if group[0].is_vms:
            properties[key] = {}
        elif group[0].is_release:
            properties[key] = _object(group, 1)
        else:
            of_vms[key] = _object(group, 1)
            properties[key] = {"$ref": f"#/definitions/{key}"}
    for value in values:
        if value.is_vms:
            properties[value.name] = _vms(value, of_vms)
    # Helm puts it there whenever the chart is part of another one.
    properties["global"] = {"type": "object"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Berth chart",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "definitions": of_vms,
    }


def _groups(values: list[Value]) -> dict[str, list[Value]]:
    groups: dict[str, list[Value]] = {}
    for value in values:
        groups.setdefault(value.path[0], []).append(value)
    return groups


def _object(values: list[Value], depth: int) -> Schema:
    """The schema of what is below the first `depth` words of the values' paths."""
    if len(values) == 1 and len(values[0].path) == depth:
        return _leaf(values[0])
    below: dict[str, list[Value]] = {}
    for value in values:
        below.setdefault(value.path[depth], []).append(value)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _object(group, depth + 1) for key, group in below.items()},
    }


def _leaf(value: Value) -> Schema:
    types = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}
    result: Schema = {"type": types[type(value.default)], "description": value.meaning}
    if value.default not in ("", [], {}):
        result["default"] = value.default
    return {**result, **value.fragment}


def _vms(value: Value, of_vms: Schema) -> Schema:
    return {
        "type": "object",
        "description": value.meaning,
        "propertyNames": {"pattern": NAME},
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: {"$ref": f"#/definitions/{key}"} for key in of_vms},
        },
    }
