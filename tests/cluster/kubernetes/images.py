"""Container images: those the cluster brings with it, and into a node's store."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.kubernetes.errors import ClusterError
from tests.cluster.programs import find

# One image with two names: what holds a pod's namespaces, and a shell for tests.
PAUSE, BUSYBOX = "localhost/pause:1", "localhost/busybox:1"
PROGRAM = Path("/bin/busybox")
# kubelet's namespace in containerd.
NAMESPACE = "k8s.io"


def pause(folder: Path) -> Path:
    """Write an archive of `PAUSE` and `BUSYBOX` into a folder."""
    layer = _layer()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sleep", "infinity"], "Env": ["PATH=/bin"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [PAUSE, BUSYBOX], "Layers": ["layer.tar"]}]
    archive = folder / "pause.tar"
    with tarfile.open(archive, "w") as tar:
        _add(tar, name, config)
        _add(tar, "layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return archive


def load(enter: Sequence[str], archive: Path) -> None:
    """Load a docker-archive or an OCI archive into the node that `enter` leads to.

    :raise ClusterError: when containerd does not take it.
    """
    ctr: list[str | Path] = [find("ctr"), "--namespace", NAMESPACE, "images", "import", "-"]
    with archive.open("rb") as file:
        done = subprocess.run([*enter, *ctr], stdin=file, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"containerd does not take {archive}:\n{done.stderr}")


def _layer() -> bytes:
    commands = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("bin", "etc", "proc", "root", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", PROGRAM.read_bytes(), mode=0o755)
        for command in commands.stdout.split():
            if command != "busybox":
                entry = tarfile.TarInfo(f"bin/{command}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    return packed.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
