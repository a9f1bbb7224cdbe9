"""What every tier shares: goldens, the order of tiers, and a CI in which nothing is skipped unseen.

A tier is a folder of tests/: lint, unit, storage, netns, boot and so on. Its tests get the marker
of that name, and a time limit that fits it unless they carry one of their own.
"""

import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
GOLDENS = TESTS / "golden"

# Seconds one test of the tier may take. Two busy cores and an emulated CPU are assumed.
TIME_LIMITS = {
    "lint": 300,
    "unit": 30,
    "chart": 120,
    "storage": 120,
    "netns": 120,
    "image": 900,
    "boot": 900,
    "cluster": 900,
    "bench": 900,
}

# The skips CI accepts: what a machine's kernel has or has not, and no package can add.
SKIPS_ALLOWED_IN_CI = (
    "kernel has no SCTP",
    "kernel has no legacy iptables",
)

Golden = Callable[[str, str], None]
Measured = Callable[[str], None]

TIER_SECONDS = pytest.StashKey[dict[str, float]]()
MEASURED = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write tests/golden/ and the generated docs instead of comparing with them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TIER_SECONDS] = {}
    config.stash[MEASURED] = []


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Measured:
    """Takes a line about what was measured on the way, to be shown at the end."""
    return pytestconfig.stash[MEASURED].append


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    r"""Compare a text with tests/golden/<name>, or write it there under --update-goldens.

    >>> golden("machine/default.args", "\n".join(argv) + "\n")
    """
    update = bool(request.config.getoption("--update-goldens"))

    def check(name: str, text: str) -> None:
        path = GOLDENS / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(f"tests/golden/{name} is missing; pytest --update-goldens writes it")
        expected = path.read_text(encoding="utf-8")
        assert text == expected, f"differs from tests/golden/{name}; --update-goldens accepts it"

    return check


def tier_of(item: pytest.Item) -> str | None:
    """The tier a test belongs to, by its folder; None for a test outside of every tier."""
    if not item.path.is_relative_to(TESTS):
        return None
    folder = item.path.relative_to(TESTS).parts[0]
    return folder if folder in TIME_LIMITS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = tier_of(item)
        if tier is None:
            continue
        item.add_marker(tier)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_LIMITS[tier]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Time the tiers, and start no dearer one after a failure in a cheaper one."""
    started = time.monotonic()
    outcome = yield
    tier = tier_of(item)
    if tier is None:
        return outcome
    seconds = item.config.stash[TIER_SECONDS]
    seconds[tier] = seconds.get(tier, 0.0) + time.monotonic() - started
    following = tier_of(nextitem) if nextitem is not None else tier
    if following != tier and item.session.testsfailed:
        item.session.shouldfail = f"{tier} failed, so {following} is not run"
    return outcome


def refuse_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """With CI=true, turn a skip that is not on the list above into a failure.

    A check that silently stopped running looks exactly like one that passes.
    """
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(SKIPS_ALLOWED_IN_CI):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, which has to run it: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip_in_ci(report)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash[MEASURED]:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
    seconds = config.stash[TIER_SECONDS]
    if len(seconds) > 1:
        times = ", ".join(f"{tier} {spent:.0f} s" for tier, spent in seconds.items())
        terminalreporter.section("time by tier")
        terminalreporter.write_line(times)
