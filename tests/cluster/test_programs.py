"""Programs are built from their modules once, and nothing else is kept."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.programs import build, pins
from tests.cluster.programs.build import BuildError
from tests.cluster.programs.pins import MODULES, PROGRAMS, Module

GO_MOD = "module example.invalid/hello\n\ngo 1.24\n\ntool example.invalid/hello/greet\n"
# Imports nothing, so that little of Go's own library is compiled.
GREET = 'package main\n\nvar stamp = "none"\n\nfunc main() { println(stamp) }\n'


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module with one program, and an empty cache."""
    if shutil.which("go") is None:
        pytest.skip("no Go here")
    folder = tmp_path / "modules/hello"
    (folder / "greet").mkdir(parents=True)
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "go.sum").touch()
    (folder / "greet/greet.go").write_text(GREET)
    for name in ("GOMODCACHE", "GOCACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BERTH_CACHE", os.fspath(tmp_path / "cache"))
    monkeypatch.setattr(pins, "FOLDER", tmp_path / "modules")
    module = Module(
        "hello",
        "Hello",
        "example.invalid/hello",
        1,
        ("hello",),
        lambda module: {"main.stamp": "stamped"},
        {"hello": "greet"},
    )
    monkeypatch.setattr(Module, "version", "v1.0.0")
    monkeypatch.setitem(PROGRAMS, "hello", module)
    return module


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache/programs").iterdir())


def test_program_is_built_once(
    hello: Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # What a builder that was killed leaves.
    dead = tmp_path / "cache/programs/.build-dead"
    dead.mkdir(parents=True)
    (dead / "file").touch()
    dead.chmod(0o500)

    program = build.find("hello")
    assert subprocess.run([program], capture_output=True).stderr == b"stamped\n"
    said = capfd.readouterr().err
    assert "== building Hello v1.0.0, once (about 1 min on two cores)" in said
    assert "== building Hello v1.0.0: done in 0:" in said
    # Neither sources nor compiled packages.
    assert cached(tmp_path) == [".lock", f"hello-{hello.key}"]
    assert [path.name for path in program.parent.iterdir()] == ["hello"]

    monkeypatch.setenv("PATH", "/nowhere")
    assert build.find("hello") == program
    assert capfd.readouterr().err == ""


def test_program_that_cannot_be_built(hello: Module, tmp_path: Path) -> None:
    (hello.folder / "greet/greet.go").write_text(
        'package main\n\nimport _ "example.invalid/none"\n'
    )
    with pytest.raises(BuildError, match="cannot find module providing package"):
        build.find("hello")
    assert cached(tmp_path) == [".lock"]


def test_no_go(hello: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BuildError, match="no `go` in PATH, and Hello must be built") as caught:
        build.find("hello")
    assert "golang-go" in str(caught.value)
    assert cached(tmp_path) == [".lock"]


def test_go_that_fetches_no_newer_one(
    hello: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian 12 has it. It would stumble over the first line of go.mod that it does not know."""
    old = tmp_path / "old/go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent), prepend=os.pathsep)
    expected = r"old/go is too old \(go version go1.19.8 linux/amd64\), and Hello must be built"
    with pytest.raises(BuildError, match=expected):
        build.find("hello")


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_key_is_of_what_is_built(hello: Module, file: str) -> None:
    key = hello.key
    with (hello.folder / file).open("a") as opened:
        opened.write("\n")
    assert hello.key != key


def test_key_is_of_the_stamps(hello: Module) -> None:
    assert replace(hello, stamps=lambda module: {"main.stamp": "other"}).key != hello.key


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_module_pins_what_it_builds(module: Module) -> None:
    assert module.version.startswith("v")
    assert all(PROGRAMS[program] is module for program in module.programs)
    # Hashes of all that is downloaded.
    assert f"{module.main} {module.version} h1:" in (module.folder / "go.sum").read_text()
