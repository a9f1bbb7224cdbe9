"""The tier is tests of the chart; Helm is built, if need be, before the clock of a test runs."""

from pathlib import Path

import pytest

from tests.cluster.programs import prepare


def pytest_collection_finish(session: pytest.Session) -> None:
    here = Path(__file__).parent
    wanted = any(item.path.is_relative_to(here) for item in session.items)
    if wanted and not session.config.option.collectonly:
        prepare("helm", "helm3")
