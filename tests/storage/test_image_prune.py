"""Bases are removed while pods start and fetch, and by prunes that are killed."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from launcher.cli.commands import commands
from launcher.image.store import bases, hiding, references
from launcher.image.store.references import Reference
from tests.conftest import Measured
from tests.storage.conftest import Images, Volume
from tests.storage.ensuring import PATIENCE, ensuring
from tests.storage.http_server import Hold, Reply, Server

PODS = 8
SECONDS = 10


@contextmanager
def running(
    volume: Volume, *argv: str, log: Path, **environ: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A module of the tests' as a process of its own, killed at the end."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *argv],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": ":".join(sys.path),
                "SHARED_DIR": str(volume.path),
                "TMPDIR": str(log.parent),
                **environ,
            },
            stdout=out,
            stderr=out,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def berth(volume: Volume, *arguments: str) -> Result:
    environ = {"SHARED_DIR": str(volume.path)}
    return CliRunner().invoke(commands, ["images", *arguments], env=environ, catch_exceptions=False)


def ends(processes: Sequence["subprocess.Popen[bytes]"], logs: Sequence[Path]) -> int:
    """Wait for pods that start; how many starts there were."""
    for process, log in zip(processes, logs, strict=True):
        status = process.wait(SECONDS + PATIENCE)
        assert status == 0, log.read_text(encoding="utf-8")[-4000:]
    return sum(int(log.read_text(encoding="utf-8").splitlines()[-1]) for log in logs)


@pytest.mark.parametrize("killed", [False, True], ids=["it lives", "it is killed again and again"])
def test_nobody_who_starts_loses_a_base(
    volume: Volume,
    server: Server,
    images: Images,
    tmp_path: Path,
    measured: Measured,
    killed: bool,
) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    another = images.raw.read_bytes()[: 1 << 20] + bytes(1 << 20)
    kept = volume.ensure(server.serve("/kept", another))
    references.write(volume.path, Reference(kept.digest, "kept", "kept"))
    logs = [tmp_path / f"{number}.log" for number in range(PODS)]
    log = tmp_path / "prune.log"
    chance = random.Random(5)
    kills = 0
    with ExitStack() as stack:
        pods = [
            stack.enter_context(
                running(volume, "tests.storage.starting", str(SECONDS), log=each, IMG_SOURCE=url)
            )
            for each in logs
        ]
        if killed:
            while any(each.poll() is None for each in pods):
                with running(volume, "tests.storage.pruning", log=log) as prune:
                    said = log.stat().st_size
                    while log.stat().st_size == said and prune.poll() is None:
                        time.sleep(0.001)
                    time.sleep(chance.random() / 5)
                    assert prune.poll() is None, log.read_text(encoding="utf-8")[-4000:]
                    prune.kill()
                kills += 1
        else:
            prune = stack.enter_context(running(volume, "tests.storage.pruning", log=log))
        starts = ends(pods, logs)
        assert killed or prune.poll() is None, log.read_text(encoding="utf-8")[-4000:]
    removed = log.read_text(encoding="utf-8").count("removed the base")
    measured(f"{starts} starts of pods, {removed} times their base was removed, {kills} kills")
    assert starts > PODS
    assert removed > 0
    assert bases.load(volume.path, kept.digest) == kept
    # What a prune that was killed has hidden comes back, or goes if it was fetched again.
    hiding.recover(volume.path, dead=-1)
    assert [each for each in volume.names() if each.endswith(".pruned")] == []
    base = volume.ensure(url)
    assert hashlib.sha256(base.path.read_bytes()).hexdigest() == images.digest
    assert berth(volume, "--verify").exit_code == 0


def test_what_a_dead_fetch_left_goes_at_once(
    volume: Volume, server: Server, images: Images
) -> None:
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), hold=hold))
    with ensuring(volume.path, url) as (holder,):
        assert hold.reached.wait(PATIENCE)
        (found,) = json.loads(berth(volume, "--json").stdout)["fetches"]
        assert (found["state"], found["holder"]) == ("alive", os.uname().nodename)
        assert found["source"] == url
        assert f"{url}: {os.uname().nodename} is at work: " in berth(volume).stdout
        before = volume.names()
        assert re.search(r"kept the fetch \w+ .*: .* is at work\n", berth(volume, "prune").stdout)
        assert volume.names() == before
        holder.process.kill()
        holder.process.wait()
    hold.go.set()
    assert f"{url}: {os.uname().nodename} died at it; " in berth(volume).stdout
    (key,) = {each.split(".")[0] for each in volume.names() if each.startswith("fetch-")}
    # What a fetch that can be gone on with would have left.
    for name in ("part", "json"):
        (volume.path / f"{key}.{name}").write_bytes(b"half")
    assert re.search(r"kept the fetch \w+ .*: .* died at it\n", berth(volume, "prune").stdout)
    (volume.path / f"{key}.json").unlink()
    assert re.search(r"removed the fetch \w+ .*: .* died at it\n", berth(volume, "prune").stdout)
    assert [each for each in volume.names() if each.startswith("fetch-")] == []


def test_a_volume_that_is_read_only_goes_on_working(
    volume: Volume, server: Server, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    base = volume.ensure(url)
    subprocess.run(["mount", "--bind", volume.path, volume.path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", volume.path], check=True)
        assert volume.ensure(url) == base
        other = server.url("/another-name")
        assert volume.ensure(other, IMG_CHECKSUM=f"sha256:{base.digest}").path == base.path
        assert "cannot be named another-name: Read-only file system" in caplog.text
        assert berth(volume).exit_code == 0
        shown = berth(volume, "prune", "--now")
        assert shown.exit_code == 77
        assert f"berth: SHARED_DIR='{volume.path}' may not be written to: " in shown.stderr
        hiding.recover(volume.path)
    finally:
        subprocess.run(["umount", volume.path], check=True)
    assert len(server.requests) == 1
