"""Every code block of the documentation is run or checked; nothing is shown that could not be typed."""

import ast
import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from doc_blocks import (
    FENCED,
    PAGES,
    ROOT,
    RUN,
    blocks,
    check_command,
    commands,
    known_options,
    not_run,
    project_entry_points,
    words_of,
)
from doc_start import write_start
from forking import python
from patchtst_har import training
from patchtst_har.benchmark import loops
from patchtst_har.benchmark.budget import Budget
from patchtst_har.benchmark.loops import measure_feasibility
from patchtst_har.cli import main
from patchtst_har.config import ExperimentConfig
from patchtst_har.features import unregister_feature
from patchtst_har.search.space import Space
from patchtst_har.support.log import close_logging
from patchtst_har.training.callbacks import Fit

BLOCKS = [block for page in PAGES for block in blocks(page)]
# The tests that run the scripts of the other pages.
PYTHON = {
    "README.md": "tests/test_readme.py::test_the_python_example_runs",
    "docs/data.md": "tests/datasets/test_capture24.py::test_the_example_of_the_documentation",
    "docs/export.md": "tests/test_docs.py::test_the_example_of_the_page_on_export_runs_without_torch",
    "docs/features.md": "tests/test_docs.py::test_the_examples_of_the_page_on_features_run",
    "docs/profiling.md": "tests/test_docs.py::test_the_example_of_the_page_on_profiling_runs",
    "docs/streaming.md": "tests/test_docs.py::test_the_example_of_the_page_on_streams_runs",
    "docs/summaries.md": "tests/test_docs.py::test_the_example_of_the_page_on_summaries_prints_what_it_says",
    "docs/topology.md": "tests/test_docs.py::test_the_examples_of_the_page_on_topology_run",
    "docs/cohorts.md": "tests/test_docs.py::test_the_example_of_the_page_on_cohorts_runs",
    "docs/latency.md": "tests/test_doc_blocks.py::test_the_example_of_the_page_on_latency_measures",
    "docs/training.md": "tests/test_doc_blocks.py::test_the_callback_of_the_page_on_training_stops",
}
# Scripts, by their number on the page, that take long: `test_doc_commands.py` runs them where it can.
ONLY_CHECKED = [("docs/cohorts.md", 0), ("docs/export.md", 1)]


def of_language(*languages):
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.language in languages]


def test_every_block_says_what_it_is():
    known = {"bash", "python", "yaml", "toml", "json", "output", "text", "{toctree}", "{eval-rst}"}
    assert [str(block) for block in BLOCKS if block.language not in known] == []
    assert len(BLOCKS) > 100


@pytest.mark.parametrize("block", of_language("bash"))
@pytest.mark.slow
def test_commands_name_what_there_is(block):
    for line in commands(block):
        for words in words_of(line):
            if words:
                check_command(words)


def test_options_in_sentences_exist():
    # Of pip, pytest, Dask, MLflow and valgrind; and every program has the last.
    others = {"--index-url", "--lf", "--scheduler-file", "--backend-store-uri", "--tool", "--help"}
    known = known_options() | others
    for page in PAGES:
        if page not in ("CHANGELOG.md", "docs/log.md"):  # What once was.
            text = FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
            quoted = " ".join(re.findall(r"`([^`]+)`", text))
            assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", quoted)) <= known, page


@pytest.mark.parametrize("block", of_language("yaml"))
def test_settings_are_read(block):
    values = yaml.safe_load(block.text)
    if "targets" in values:
        Budget.model_validate(values)
        return
    search = values.pop("search", None)
    config = ExperimentConfig.from_mapping(values)
    assert search is None or Space.read(search, config, str(block)).parameters


@pytest.mark.parametrize("block", of_language("toml"))
def test_entry_points_are_looked_for(block):
    values = tomllib.loads(block.text)
    assert set(values["project"]["entry-points"]) <= project_entry_points()


def test_json_is_json():
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)


def test_every_script_is_run_by_a_test():
    shown = {block.page for block in BLOCKS if block.language == "python"}
    assert shown == set(PYTHON) | {page for page in RUN if page in shown}
    for page, test in PYTHON.items():
        file, name = test.split("::")
        source = (ROOT / file).read_text(encoding="utf-8").split(f"def {name}(", 1)[1].split("\ndef ")[0]
        assert Path(page).name in source, f"{test} does not run {page}"


@pytest.mark.parametrize(("page", "number"), ONLY_CHECKED)
def test_scripts_that_are_not_run_import_what_there_is(page, number):
    script = ast.parse(scripts(page)[number].text)
    names = [
        (statement.module, alias.name)
        for statement in ast.walk(script)
        if isinstance(statement, ast.ImportFrom) and statement.module.startswith("patchtst_har")
        for alias in statement.names
    ]
    assert names
    for module, name in names:
        assert hasattr(import_module(module), name)


def test_outputs_follow_what_is_run():
    for page in PAGES:
        of_page = blocks(page)
        for block in of_page:
            if block.language == "output":
                assert page in RUN
                assert of_page[block.number - 1].language == "python"


def scripts(page):
    return [block for block in blocks(page) if block.language == "python"]


def run_script(block, values):
    """Run a block of Python in this process; return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, str(block), "exec"), values)  # noqa: S102 - our own
    return printed.getvalue()


def run_command(words, monkeypatch):
    """Run the command line in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", words)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as stop:
        return stop.code or 0
    finally:
        close_logging()
    return 0


def run_line(line, monkeypatch):
    """Run or check one line of a block of commands."""
    pipe = words_of(line)
    if not_run(line) is not None or not pipe[0]:
        return
    expected = int(line.rpartition("# exits with status ")[2] or 0) if "# exits" in line else 0
    if len(pipe) == 1:
        assert run_command(pipe[0], monkeypatch) == expected, line
        return
    shell = line.replace("patchtst-har", f"{shlex.join(python())} -m patchtst_har")
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - our own
    assert done.returncode == expected, done.stderr


@pytest.fixture(scope="module")
def start(tmp_path_factory, small_run):
    folder = tmp_path_factory.mktemp("start")
    write_start(folder, small_run.folder, runs=("study", "folds", "scratch", "tuned", "heads"))
    return folder


@pytest.mark.slow
@pytest.mark.draws
@pytest.mark.parametrize("page", RUN)
def test_the_page_works_from_top_to_bottom(page, start, tmp_path, monkeypatch):
    shutil.copytree(start, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    values = {"__name__": "__main__"}
    printed = None
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            printed = run_script(block, values)
        elif block.language == "output":
            assert block.text == printed
        elif block.language == "bash":
            for line in commands(block):
                run_line(line, monkeypatch)
    if "jolts" in values:
        unregister_feature("jolts")


@pytest.mark.slow
def test_the_example_of_the_page_on_latency_measures(small_run, tmp_path, monkeypatch):
    def measure(recognizer, workloads, settings, *, model_dir):
        small = settings.replace(
            n_decisions=60, n_blocks=1, n_rested=0, capacity=False, cold_start=False, open_loop_s=1
        )
        return measure_feasibility(recognizer, {"walking": workloads["walking"]}, small, model_dir=model_dir)

    monkeypatch.setattr(loops, "measure_feasibility", measure)
    shutil.copytree(small_run.folder / "model", tmp_path / "runs" / "demo" / "model")
    monkeypatch.chdir(tmp_path)
    (example,) = scripts("docs/latency.md")
    assert "p50" in run_script(example, {})


def test_the_callback_of_the_page_on_training_stops(monkeypatch):
    made = []

    class Trainer:
        def __init__(self, config, *, callbacks):
            made.extend(callbacks)

        def train(self):
            fit = Fit(config=None, trainee=None, metrics={"val": {"macro_f1": 0.96}}, callbacks=tuple(made))
            fit.call("on_epoch_end")
            made.append(fit.progress.stopped)

    monkeypatch.setattr(training, "PatchTSTTrainer", Trainer)
    (example,) = scripts("docs/training.md")
    run_script(example, {"config": None})
    assert made[1:] == ["good enough"]
