"""nginx on loopback, of Debian's package but not installed: that would start one for all to see."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.guests import cache, debs

# What its package depends on besides its own configuration is part of every Debian.
PACKAGE = "nginx"
CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/pid;
events {{ }}
http {{
  access_log off;
  sendfile on;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /free/ {{ alias {files}/; }}
    location /capped/ {{ alias {files}/; limit_rate {cap}m; }}
  }}
}}
"""
# Seconds.
PATIENCE = 10.0
GRAIN = 0.01


@dataclass(frozen=True)
class Server:
    port: int

    def free(self, file: Path) -> str:
        """The file's address with no limit on its speed."""
        return f"http://127.0.0.1:{self.port}/free/{file.name}"

    def capped(self, file: Path) -> str:
        """Its address with a limit for each connection."""
        return f"http://127.0.0.1:{self.port}/capped/{file.name}"


@contextlib.contextmanager
def serving(files: Path, folder: Path, *, cap: int) -> Iterator[Server]:
    """Serve the files of a folder, with ranges and ETags as nginx has them by default.

    :param folder: an empty one for the server's own.
    :param cap: MiB per second for each connection to a capped address.
    """
    # Nobody else takes a port that the kernel just gave away, as long as it has others.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(folder=folder, files=files, port=port, cap=cap), "utf-8"
    )
    process = subprocess.Popen(
        [_program(), "-p", folder, "-c", configuration, "-e", "stderr"], stdin=subprocess.DEVNULL
    )
    try:
        _await(process, port)
        yield Server(port)
    finally:
        process.terminate()
        process.wait()


def _program() -> Path:
    """Of several benchmarks at once, one unpacks it, and the others find it."""
    folder = cache.folder() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    tree = folder / PACKAGE
    with cache.locked(folder / f".{PACKAGE}.lock"):
        if not tree.exists():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                apt = debs.Apt(Path(work) / "apt")
                apt.unpack([PACKAGE], Path(work) / PACKAGE, dependencies=False)
                (Path(work) / PACKAGE).rename(tree)
    return tree / "usr/sbin/nginx"


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert process.poll() is None, "nginx ended"
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(GRAIN)
