"""Kubernetes' own description of its objects, of the oldest and the newest release.

It is a file in the Go module of Kubernetes. Only that file is kept, and it has to be the one that
is pinned here.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.protocols import Validator

from tests.guests.cache import folder

MODULE = "k8s.io/kubernetes"

# SHA-256 of api/openapi-spec/swagger.json in each.
RELEASES = {
    "1.28.15": "44ff3c98bb011964585019e1765b0c09ee65d503e4c35cbda355df6a02486c86",
    "1.36.3": "dcede2063da1d7ad62ecb5af8adb6d7fabd0b52385a7fa0048afb491dac90450",
}

Schema = dict[str, Any]


def specification(release: str) -> Path:
    """The cached swagger.json of a release, fetched when it is not there yet.

    :raise RuntimeError: when what came is not what is pinned.
    """
    path = folder() / "openapi" / f"kubernetes-{release}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _fetch(release)
        if hashlib.sha256(content).hexdigest() != RELEASES[release]:
            raise RuntimeError(f"the OpenAPI of Kubernetes {release} is not the one that is pinned")
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(content)
        new.rename(path)
    return path


def _fetch(release: str) -> bytes:
    work = Path(tempfile.mkdtemp())
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", f"{MODULE}@v{release}"],
            cwd=work,
            env={**os.environ, "GOMODCACHE": str(work), "GOFLAGS": "-modcacherw"},
            capture_output=True,
            text=True,
        )
        answer = json.loads(done.stdout or "{}")
        if done.returncode:
            raise RuntimeError(answer.get("Error") or done.stderr)
        return Path(answer["Dir"], "api/openapi-spec/swagger.json").read_bytes()
    finally:
        shutil.rmtree(work)


@cache
def validators(release: str) -> dict[tuple[str, str], Validator]:
    """A strict validator for each apiVersion and kind."""
    definitions = json.loads(specification(release).read_bytes())["definitions"]
    for definition in definitions.values():
        _close(definition)
    found: dict[tuple[str, str], Validator] = {}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            version = "/".join(filter(None, (kind["group"], kind["version"])))
            schema = {"$ref": f"#/definitions/{name}", "definitions": definitions}
            found[version, kind["kind"]] = Draft4Validator(schema)
    return found


def _close(definition: Schema) -> None:
    """Refuse fields that are not described, as the API server does on request."""
    if "properties" in definition:
        definition["additionalProperties"] = False
    if definition.get("format") == "int-or-string":
        definition["type"] = ["integer", "string"]
    # A quantity is written as a number, too (apimachinery, Quantity.UnmarshalJSON).
    if "Quantity is a fixed-point" in definition.get("description", ""):
        definition["type"] = ["string", "number"]


def problems(release: str, manifest: Schema) -> list[str]:
    """What the release would not take of an object; nothing if all is well."""
    validator = validators(release).get((manifest["apiVersion"], manifest["kind"]))
    if validator is None:
        return [f"no {manifest['kind']} in {manifest['apiVersion']}"]
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]
