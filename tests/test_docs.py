import runpy
from pathlib import Path

from patchtst_har.config import ExperimentConfig

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_settings_is_what_the_configuration_says():
    page = runpy.run_path(str(DOCS / "generate_configuration.py"))["page"]()
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == page


def test_every_setting_is_described():
    rows = [line for line in (DOCS / "configuration.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_example_configuration_is_valid():
    config = ExperimentConfig.load(DOCS / "example.yaml")
    assert config.experiment_name == "study"
    assert config != ExperimentConfig(experiment_name="study")
