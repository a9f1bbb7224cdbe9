"""`berth`, as far as it needs no VM."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from launcher import __version__
from launcher.cli import environment
from launcher.cli.commands import commands
from launcher.life import state
from launcher.life.state import Phase

IMAGE = {"IMG_SOURCE": "https://me:secret@example.org/disk.qcow2?token=secret"}


def berth(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(commands, list(arguments), env=environ, catch_exceptions=False)


def test_help_names_every_command() -> None:
    shown = berth("--help")
    assert shown.exit_code == 0
    for name in (
        "console",
        "images",
        "pet",
        "plan",
        "probe",
        "rebase",
        "settings",
        "snapshot",
        "status",
    ):
        assert f"\n  {name} " in shown.stdout
    assert berth("-h").stdout == shown.stdout


def test_version() -> None:
    assert __version__ in berth("--version").stdout


def test_settings_in_force() -> None:
    shown = berth("settings", **IMAGE, VM_CPUS="2")
    lines = shown.stdout.splitlines()
    assert shown.exit_code == 0
    assert lines[:2] == ["IMG_SOURCE=https://example.org/disk.qcow2?…", "IMG_TARGET=disk.qcow2"]
    assert "VM_CPUS=2" in lines
    assert "VM_NAME=pet-0" in lines
    assert "secret" not in shown.output


def test_settings_for_machines() -> None:
    values = json.loads(berth("settings", "--json", **IMAGE, VM_MEMORY="2G").stdout)
    assert values["VM_MEMORY"] == "2G"
    assert values["IMG_SOURCE"] == "https://example.org/disk.qcow2?…"


@pytest.mark.parametrize("command", ["console", "status"])
def test_a_vm_is_found_whatever_the_other_settings_are(command: str, tmp_path: Path) -> None:
    shown = berth(command, VM_CPUS="0", RUN_DIR=str(tmp_path / "run"))
    assert shown.exit_code == 66
    assert "VM_CPUS" not in shown.stderr
    shown = berth(command, VM_CPUS="0", RUN_DIR="run")
    assert shown.exit_code == 78
    assert "RUN_DIR='run' is not accepted" in shown.stderr


@pytest.mark.parametrize("command", ["settings", "plan"])
def test_settings_that_are_wrong(command: str) -> None:
    shown = berth(command, VM_CPUS="0")
    assert shown.exit_code == 78
    assert shown.stdout == ""
    assert shown.stderr.startswith("berth: 2 settings are wrong:\n  - VM_CPUS='0'")


def test_plan_takes_qemus_arguments_after_two_dashes() -> None:
    # It fails for want of settings only after it has understood them.
    assert berth("plan", "--", "-device", "e1000").exit_code == 78
    assert berth("plan", "-device", "e1000").exit_code == 2


def status(run_dir: Path, *arguments: str) -> Result:
    return berth("status", *arguments, **IMAGE, RUN_DIR=str(run_dir))


def test_status_where_nothing_was_started(tmp_path: Path) -> None:
    shown = status(tmp_path)
    assert (shown.exit_code, shown.stdout) == (66, "")
    assert shown.stderr == "no VM was started here\n"


@pytest.mark.parametrize("phase", Phase)
def test_status_is_good_only_while_the_vm_runs(tmp_path: Path, phase: Phase) -> None:
    state.write(tmp_path, phase)
    shown = status(tmp_path)
    assert shown.stdout == f"{phase.value}\n"
    assert shown.exit_code == (0 if phase is Phase.RUNNING else 1)


def test_status_says_why(tmp_path: Path) -> None:
    state.write(tmp_path, Phase.OFF, "the guest powered itself off")
    assert status(tmp_path).stdout == "off: the guest powered itself off\n"


def test_status_for_machines(tmp_path: Path) -> None:
    state.write(tmp_path, Phase.OFF, "why")
    shown = status(tmp_path, "--json")
    found = json.loads(shown.stdout)
    assert (found["phase"], found["reason"], shown.exit_code) == ("off", "why", 1)


def test_console_where_nothing_runs(tmp_path: Path) -> None:
    shown = berth("console", **IMAGE, RUN_DIR=str(tmp_path / "run"))
    assert shown.exit_code == 66
    assert shown.stderr.startswith("berth: there is no VM at")


def test_settings_follow_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMG_SOURCE", IMAGE["IMG_SOURCE"])
    monkeypatch.setattr("launcher.host.container.mounts_only_image", lambda: True)
    assert environment.settings().pet_dir == Path("/image")
