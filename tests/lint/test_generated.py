"""Pages made from the code are as the code would make them today."""

from collections.abc import Callable

import pytest

from chart.tools import readme, schema
from launcher.settings import reference
from tests.lint.sources import ROOT

PAGES: dict[str, Callable[[], str]] = {
    "chart/README.md": readme.text,
    "chart/values.schema.json": schema.text,
    "docs/settings.md": reference.markdown,
}


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str, request: pytest.FixtureRequest) -> None:
    path = ROOT / name
    made = PAGES[name]()
    if request.config.getoption("--update-goldens"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made, encoding="utf-8")
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    assert written == made, "./dev docs"
