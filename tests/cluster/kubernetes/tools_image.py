"""The image that every node has: what holds a pod's namespaces, and the clients that tests run.

Made of this machine's own programs and the libraries they name, since no registry can be asked.
"""

import hashlib
import io
import json
import re
import subprocess
import tarfile
from pathlib import Path

# One image with two names.
PAUSE, TOOLS = "localhost/pause:1", "localhost/tools:1"

BUSYBOX = Path("/bin/busybox")
# busybox-static resolves no names, as the C library in it looks for parts that are not there.
PROGRAMS = {
    "curl": Path("/usr/bin/curl"),
    "getent": Path("/usr/bin/getent"),
    "nc": Path("/usr/bin/nc.openbsd"),
    "ssh": Path("/usr/bin/ssh"),
}
PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
NSSWITCH = "passwd: files\nhosts: files dns\n"


def write(archive: Path) -> None:
    """Write a docker-archive with both names."""
    layer = _layer()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sleep", "infinity"], "Env": ["PATH=/usr/bin:/bin"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [PAUSE, TOOLS], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, name, config)
        _add(tar, "layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _layer() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("etc", "proc", "root", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "etc/passwd", PASSWD.encode())
        _add(tar, "etc/nsswitch.conf", NSSWITCH.encode())
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        for command in sorted(set(_run(BUSYBOX, "--list").split()) - {"busybox", *PROGRAMS}):
            entry = tarfile.TarInfo(f"bin/{command}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for command, program in PROGRAMS.items():
            _add(tar, f"usr/bin/{command}", program.read_bytes(), mode=0o755)
        for library in sorted(_libraries()):
            _add(tar, library.lstrip("/"), Path(library).read_bytes(), mode=0o755)
    return packed.getvalue()


def _libraries() -> set[str]:
    """What the loader would load, at the places where it looks."""
    # `libc.so.6 => /lib/.../libc.so.6 (0x7f...)`, and the loader itself without an arrow.
    return set(re.findall(r"(/\S+) \(0x", _run("ldd", *PROGRAMS.values())))


def _run(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
