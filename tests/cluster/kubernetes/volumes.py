"""`python -m tests.cluster.kubernetes.volumes KUBECONFIG FOLDER`: folders as persistent volumes,
and files as block devices.

Both nodes see the same files, so every access mode works and a volume follows its pod to the other
node, as network storage does. The volumes are of the kind `local`, to which kubelet applies a pod's
`fsGroup` as it does to those of CSI drivers. To host paths it does not, which is why the
controller manager's own provisioner will not do: a pod that is not root could not write.
"""

import json
import shutil
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.cluster.kubernetes import block

PROVISIONER = "berth.invalid/folder"

# An object of Kubernetes, as JSON has it.
Object = dict[str, Any]

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"

ALREADY_THERE, GONE = 409, 404

UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


class Api:
    """The API server, as a kubeconfig with a token describes it."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        self._server = cluster["server"]
        self._tls = ssl.create_default_context(cadata=authority)
        self._token = config["users"][0]["user"]["token"]

    def call(self, method: str, path: str, body: Object | None = None) -> Object:
        with self._open(method, path, body) as answer:
            result: Object = json.load(answer)
            return result

    def objects(self, path: str) -> Iterator[Object]:
        """All there are, and then each that comes or changes, until the server has enough."""
        listed = self.call("GET", path)
        yield from listed["items"]
        version = listed["metadata"]["resourceVersion"]
        with self._open("GET", f"{path}?watch=1&resourceVersion={version}") as lines:
            for line in lines:
                event = json.loads(line)
                if event["type"] in {"ADDED", "MODIFIED"}:
                    yield event["object"]

    def _open(self, method: str, path: str, body: Object | None = None) -> Any:
        request = urllib.request.Request(
            self._server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        return urllib.request.urlopen(request, context=self._tls)


def provision(api: Api, folder: Path, claim: Object) -> None:
    """Make the volume that a claim of one of our classes waits for."""
    spec, metadata = claim["spec"], claim["metadata"]
    if claim["status"].get("phase") != "Pending" or spec.get("volumeName"):
        return
    if not (name := spec.get("storageClassName")):
        return
    try:
        storage = api.call("GET", f"{CLASSES}/{name}")
    except urllib.error.HTTPError as error:
        if error.code == GONE:
            return
        raise
    waits = storage["volumeBindingMode"] == "WaitForFirstConsumer"
    chosen = "volume.kubernetes.io/selected-node" in metadata.get("annotations", {})
    if storage["provisioner"] != PROVISIONER or (waits and not chosen):
        return
    volume = f"pvc-{metadata['uid']}"
    path = folder / volume
    if spec.get("volumeMode") == "Block":
        device = block.attach(path, _bytes(spec["resources"]["requests"]["storage"]))
        made = _volume(volume, device, claim, storage)
    else:
        path.mkdir(mode=0o755, exist_ok=True)
        made = _volume(volume, str(path), claim, storage)
    try:
        api.call("POST", VOLUMES, made)
    except urllib.error.HTTPError as error:
        if error.code != ALREADY_THERE:
            raise


def _bytes(quantity: str) -> int:
    """Of Kubernetes' quantities, those that tests use."""
    digits = quantity.rstrip("KMGTi")
    return int(digits) * UNITS[quantity.removeprefix(digits)]


def _volume(name: str, path: str, claim: Object, storage: Object) -> Object:
    spec, metadata = claim["spec"], claim["metadata"]
    anywhere = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": spec["resources"]["requests"],
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "volumeMode": spec["volumeMode"],
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [anywhere]}]}},
            "persistentVolumeReclaimPolicy": storage["reclaimPolicy"],
            "storageClassName": storage["metadata"]["name"],
        },
    }


def reclaim(api: Api, folder: Path, volume: Object) -> None:
    """Remove a volume whose claim was deleted."""
    metadata, spec = volume["metadata"], volume["spec"]
    ours = metadata.get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
    released = volume["status"].get("phase") == "Released"
    if not ours or not released or spec["persistentVolumeReclaimPolicy"] != "Delete":
        return
    path = folder / metadata["name"]
    if spec["volumeMode"] == "Block":
        block.detach_below(path)
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
    try:
        api.call("DELETE", f"{VOLUMES}/{metadata['name']}")
    except urllib.error.HTTPError as error:
        if error.code != GONE:
            raise


def follow(api: Api, path: str, folder: Path, handle: Callable[[Api, Path, Object], None]) -> None:
    while True:
        try:
            for each in api.objects(path):
                handle(api, folder, each)
        # The server may go away and come back; what was missed is in the next list.
        except Exception as error:
            print(f"{path}: {error!r}", file=sys.stderr, flush=True)
            time.sleep(1)


def main() -> None:
    kubeconfig, folder = map(Path, sys.argv[1:])
    api = Api(kubeconfig)
    threading.Thread(target=follow, args=(api, VOLUMES, folder, reclaim), daemon=True).start()
    follow(api, CLAIMS, folder, provision)


if __name__ == "__main__":
    main()
