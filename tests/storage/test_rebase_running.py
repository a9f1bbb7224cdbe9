"""`berth rebase` beside a VM that runs: startvm is told once the image is there."""

import asyncio
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

import pytest
from click.testing import CliRunner, Result

from launcher.cli.commands import commands
from launcher.host.unix import listening
from launcher.image import fetch
from launcher.image.base import Base
from launcher.life import control, state
from launcher.life.state import Phase
from launcher.settings.table import Settings
from tests.storage.pet_volumes import Volumes, volumes


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    made = volumes(tmp_path)
    made.image("two", at1M=6)
    (tmp_path / "run").mkdir()
    return made


def rebase(made: Volumes, asked: list[Any], *words: str) -> Result:
    """What the command says beside a startvm that notes down in `asked` what it is asked."""
    run_dir = made.folder / "run"
    env = {
        "IMG_SOURCE": str(made.common / "two.qcow2"),
        "SHARED_DIR": str(made.common / "shared"),
        "PET_DIR": str(made.place.folder),
        "RUN_DIR": str(run_dir),
        "VM_NAME": made.place.name,
        "QEMU_USER": "root",
        "ACCEL": "tcg",
    }

    async def note(arguments: control.Arguments) -> dict[str, Any]:
        asked.append(arguments)
        return {}

    async def served() -> Result:
        with listening(control.path(run_dir)) as door:
            server = asyncio.ensure_future(control.serve(door, {"rebase": note}))
            said = await asyncio.to_thread(
                CliRunner().invoke, commands, ["rebase", *words], env=env, catch_exceptions=False
            )
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)
            return said

    state.write(run_dir, Phase.RUNNING)
    return asyncio.run(served())


def test_fetch_may_take_longer_than_startvm_waits_for_a_client(
    made: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure = fetch.ensure

    def slow(*given: Any) -> Base:
        with socket(AF_UNIX) as silent:
            silent.connect(str(control.path(made.folder / "run")))
            assert silent.recv(1) == b"", "startvm hangs up"
        return ensure(*given)

    monkeypatch.setattr(control, "PATIENCE", 0.2)
    monkeypatch.setattr(fetch, "ensure", slow)
    asked: list[Any] = []
    said = rebase(made, asked, "--restart")
    assert said.exit_code == 0, said.stderr
    assert [each["digest"] for each in asked] == [ensure(made.settings("two")).digest]


def test_undo_beside_a_vm_that_runs_tells_how_to_have_it_off(made: Volumes) -> None:
    asked: list[Any] = []
    said = rebase(made, asked, "--undo")
    assert (said.exit_code, "ON_POWEROFF=stay" in said.stderr, asked) == (75, True, [])


def test_vm_that_ends_while_the_image_is_fetched(
    made: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure = fetch.ensure

    def slow(settings: Settings, *given: Any) -> Base:
        state.write(settings.run_dir, Phase.OFF)
        return ensure(settings, *given)

    monkeypatch.setattr(fetch, "ensure", slow)
    asked: list[Any] = []
    said = rebase(made, asked, "--restart")
    assert (said.exit_code, "ended meanwhile" in said.stderr, asked) == (75, True, [])
    assert made.names() == ["web-3.json", "web-3.qcow2"]
