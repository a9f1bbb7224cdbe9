"""`python -m chart.tools` writes values.schema.json and README.md."""

from chart.tools import readme, schema
from chart.tools.values import CHART

(CHART / "values.schema.json").write_text(schema.text(), encoding="utf-8")
(CHART / "README.md").write_text(readme.text(), encoding="utf-8")
