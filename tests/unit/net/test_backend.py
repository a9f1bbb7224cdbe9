from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from launcher.host.errors import CommandFailed, LauncherError, RightMissing
from launcher.net.nat import backend, iptables, nft
from launcher.net.nat.backend import Choice
from launcher.net.nat.plan import rules
from tests.unit.net.conftest import CASES

RULES = rules(CASES["default"])
REFUSED = CommandFailed(
    ["nft"], 1, "Error: Could not process rule: No such file or directory\nmore"
)


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which backends are in force, in the order they came; each goes with its context."""
    names: list[str] = []

    def stand_in(name: str) -> None:
        @contextmanager
        def apply(_: object) -> Iterator[None]:
            names.append(name)
            yield
            names.append(f"not {name}")

        module = nft if name == "nft" else iptables
        monkeypatch.setattr(module, "apply", apply)

    stand_in("nft")
    stand_in("iptables")
    return names


def fail(monkeypatch: pytest.MonkeyPatch, name: str, error: LauncherError) -> None:
    def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr(nft, name, refuse)


def test_auto_takes_nft_where_it_works(applied: list[str]) -> None:
    with backend.apply("auto", RULES) as choice:
        assert choice == Choice("nft", "the kernel takes its rules")
        assert applied == ["nft"]
    assert applied == ["nft", "not nft"]


def test_auto_takes_iptables_where_nft_fails(
    applied: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail(monkeypatch, "apply", REFUSED)
    reason = "nft does not work here (nft exited 1: Error: Could not process rule: No such file or"
    with backend.apply("auto", RULES) as choice:
        assert choice.backend == "iptables"
        assert choice.reason.startswith(reason)
    assert applied == ["iptables", "not iptables"]
    assert caplog.records[0].getMessage().startswith(f"NAT by iptables: {reason}")


@pytest.mark.usefixtures("applied")
def test_nft_asked_for_has_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, "apply", REFUSED)
    with pytest.raises(CommandFailed), backend.apply("nft", RULES):
        pass


def test_a_missing_right_is_missing_for_both(
    applied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "apply", RightMissing("no"))
    with pytest.raises(RightMissing), backend.apply("auto", RULES):
        pass
    assert applied == []


def test_choosing_only_checks(applied: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, "check", REFUSED)
    assert backend.choose("auto", RULES).backend == "iptables"
    assert backend.choose("iptables", RULES) == Choice("iptables", "NAT_BACKEND=iptables")
    with pytest.raises(CommandFailed):
        backend.choose("nft", RULES)
    assert applied == []
