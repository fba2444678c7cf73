import re
import runpy
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from forking import python
from patchtst_har import Recognizer, features
from patchtst_har.benchmark.budget import Budget, Target
from patchtst_har.config import N_STATISTICAL_FEATURES, AugmentationConfig, ExperimentConfig
from patchtst_har.data import cut_windows, write_recording
from patchtst_har.inference.export import export_model
from patchtst_har.search.space import Space
from patchtst_har.synthetic import recording as make_recording
from without_torch import REFUSE_TORCH

DOCS = Path(__file__).parents[1] / "docs"
TRAINING = (DOCS / "training.md").read_text(encoding="utf-8")


def test_the_page_of_settings_is_what_the_configuration_says():
    page = runpy.run_path(str(DOCS / "generate_configuration.py"))["page"]()
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == page


def test_every_setting_is_described():
    rows = [line for line in (DOCS / "configuration.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_counts_of_features_are_those_of_the_package():
    readme, glossary = (
        (DOCS.parent / page).read_text(encoding="utf-8") for page in ("README.md", "GLOSSARY.md")
    )
    for kind, names in (
        ("Statistical", features.STATISTICAL_FEATURE_NAMES),
        ("Movement", features.MOVEMENT_FEATURE_NAMES),
        ("Topological", features.TOPOLOGICAL_FEATURE_NAMES),
    ):
        assert f"**{kind} features**: {len(names)} numbers per window" in glossary
    assert set(re.findall(r"(\d+) statistical features", readme)) == {str(N_STATISTICAL_FEATURES)}


def test_the_example_configuration_is_valid():
    config = ExperimentConfig.load(DOCS / "example.yaml")
    assert config.experiment_name == "study"
    base = ExperimentConfig.preset("base")
    assert (config.model, config.features) == (base.model, base.features)
    assert config.training == base.training.replace(epochs=24)


def test_the_example_of_a_budget_lists_the_built_in_targets():
    assert Budget.load(DOCS / "example-budget.yaml") == Budget()


def test_every_field_of_a_budget_is_described():
    page = (DOCS / "feasibility.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) >= set(Target.model_fields)


def test_the_example_of_the_page_on_summaries_prints_what_it_says(capsys):
    page = (DOCS / "summaries.md").read_text(encoding="utf-8")
    example, printed = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL).groups()
    exec(compile(example, "summaries.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == printed


@pytest.mark.spawns
@pytest.mark.long
def test_the_examples_of_the_page_on_features_run(tmp_path):
    """The one on real recordings holds out whole people."""
    forest, own = printed_by("features.md", tmp_path)
    score = re.fullmatch(r"macro F1 on held-out participants: (\d\.\d\d)\n", forest)
    assert 0.75 < float(score[1]) < 0.97
    assert own == f"(4, 3)\n{N_STATISTICAL_FEATURES + 3}\n"


@pytest.mark.spawns
def test_the_examples_of_the_page_on_topology_run(tmp_path):
    features, diagrams = printed_by("topology.md", tmp_path)
    stages = ["magnitude", "decimation", "embedding", "persistence", "summary"]
    assert features == f"{stages}\n(8, 24)\n"
    assert diagrams == "1 loop persists for more than twice the error bound; bars are right to 0.05\n"


@pytest.mark.compiles
@pytest.mark.spawns
@pytest.mark.long
def test_the_example_of_the_page_on_export_runs_without_torch(small_run, tmp_path):
    model = small_run.folder / "model"
    export_model(model, tmp_path / "model.onnx")
    recording = make_recording(start="2023-11-14 22:20:00")
    write_recording(tmp_path / "recording.csv", recording)
    expected = Recognizer.from_pretrained(model).predict(*windows_of(recording)).labels
    (printed,) = printed_by("export.md", tmp_path, before=REFUSE_TORCH, first=1)
    assert printed == " ".join(expected) + "\n"


@pytest.mark.spawns
def test_the_example_of_the_page_on_streams_runs(small_run, tmp_path):
    demo = tmp_path / "runs" / "demo"
    shutil.copytree(small_run.folder / "model", demo / "model")
    (demo / "data" / "recordings").mkdir(parents=True)
    write_recording(demo / "data" / "recordings" / "P01.csv", make_recording())
    (printed,) = printed_by("streaming.md", tmp_path)
    lines = printed.splitlines()
    assert len(lines) > 10
    assert all(re.fullmatch(r"\S+ (running|sitting|walking) \d\.\d\d \d+\.\d\d ms", line) for line in lines)


@pytest.mark.spawns
def test_the_example_of_the_page_on_cohorts_runs(tmp_path):
    """The first one needs a cluster."""
    for name in ("P01", "P02"):
        (tmp_path / "recordings").mkdir(exist_ok=True)
        write_recording(tmp_path / "recordings" / f"{name}.csv", make_recording())
    _, local = re.findall(
        r"```python\n(.*?)```", (DOCS / "cohorts.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "example.py").write_text(local, encoding="utf-8")
    command = [*python(), "-W", "error", "example.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 labelled, 0 failed\n['recording', 'source']\n"


def windows_of(recording):
    cut = cut_windows(recording[["x", "y", "z"]])
    return cut.windows, cut.start_ns


@pytest.mark.spawns
def test_the_example_of_the_page_on_profiling_runs(tmp_path):
    (printed,) = printed_by("profiling.md", tmp_path)
    rows = [re.split(r" *│ *", line)[1:4] for line in printed.splitlines() if line.startswith("│")]
    calls = {"a list": "70", "day": "1", "statistical": "200", "topological": "200", "features": "70"}
    assert rows == [[name, n, "0"] for name, n in calls.items()]
    p95, flat, grows = printed.splitlines()[-3:]
    assert re.fullmatch(r"p95 of a window: \d+ us; p99: None", p95)
    assert flat.startswith("no leak found")
    assert grows.startswith("a leak: ")
    assert (tmp_path / "profile.json").exists()


@pytest.mark.draws
def test_the_picture_of_the_topology_is_there_and_can_be_drawn():
    root = ElementTree.parse(DOCS / "topology.svg").getroot()  # noqa: S314 - ours
    assert "24 topological features" in root.get("aria-label")
    drawn = runpy.run_path(str(DOCS / "generate_topology_picture.py"))["picture"]()
    assert ElementTree.fromstring(drawn).get("aria-label") == root.get("aria-label")  # noqa: S314 - ours


@pytest.mark.draws
def test_every_kind_of_augmentation_has_its_picture():
    script = runpy.run_path(str(DOCS / "generate_augmentation_pictures.py"))
    assert set(script["DRAWN"]) == set(AugmentationConfig.model_fields) - {"forearm_axis"}
    shown = re.findall(r"^\| `(\w+)` \|.*\(augmentation/(\w+)\.svg\)", TRAINING, re.MULTILINE)
    assert [name for name, _ in shown] == [picture for _, picture in shown]
    assert {name for name, _ in shown} == set(script["DRAWN"])
    for name in script["DRAWN"]:
        root = ElementTree.parse(DOCS / "augmentation" / f"{name}.svg").getroot()  # noqa: S314 - ours
        assert root.get("aria-label").endswith(f"after {name}")
    drawn = script["picture"]("low_rate")
    assert ElementTree.fromstring(drawn).get("aria-label").endswith("after low_rate")  # noqa: S314 - ours


def test_the_recipe_of_the_page_on_training_is_that_of_the_presets():
    (text,) = re.findall(r"```yaml\n(.*?)```", TRAINING, re.DOTALL)
    config = ExperimentConfig.from_mapping(yaml.safe_load(text))
    assert config.training == ExperimentConfig.preset("base").training
    assert (config.data.val_n, config.smoothing.method) == (0, "none")


def test_the_search_of_the_page_on_experiments_is_one():
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (DOCS / "experiments.md").read_text(encoding="utf-8"), re.DOTALL
    )
    values = yaml.safe_load(text)
    space = Space.read(values.pop("search"), ExperimentConfig.from_mapping(values), "experiments.md")
    assert len(space.parameters) == 4


def printed_by(page, tmp_path, before="", first=None):
    """Run the (first) examples of a page as scripts behind the code `before`; return what each prints."""
    text = (DOCS / page).read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    printed = []
    for number, example in enumerate(examples[:first]):
        script = tmp_path / f"example_{number}.py"
        script.write_text(before + example, encoding="utf-8")
        command = [*python(), "-W", "error", str(script)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return printed
