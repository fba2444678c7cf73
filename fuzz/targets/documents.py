"""Settings, label maps and records: YAML, JSON and small tables."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fuzz.choices import Choices, as_it_is, by_choice, changed_bytes, changed_document, two_ways
from fuzz.frame import Finding, Target, file_of, place
from patchtst_har.benchmark.budget import Budget
from patchtst_har.config import ExperimentConfig
from patchtst_har.data.annotations import LabelMap
from patchtst_har.data.recording import read_recording
from patchtst_har.datasets import capture24
from patchtst_har.records.stored_run import StoredRun

_TRICKS = (
    "a: &a [*a]\n", "!!python/object/apply:os.system ['true']\n", "!!binary '='\n", "!!timestamp x\n",
    "? {}\n: 1\n", "<<: *none\n", "a: 1\na: 2\n", "--- 1\n--- 2\n", "!!set {x}\n", "%YAML 9.9\n",
    "!!omap [1]\n", "!!int ''\n", "2001-99-99\n", "1_000:99:99\n", "!!float .\n", "&" + "a" * 2000 + " x\n",
    "[" * 70, "'\\ud800'\n", '"\\ud800"\n', "!!pairs [[a]]\n", "? [a]\n: b\n", "!!merge x: y\n", "=: 1\n",
    "0o9\n", "190:20:30.15\n",
)  # fmt: skip


def yaml_of(document: Any, choices: Choices) -> bytes:
    """Return a document with changes as YAML, in block or flow style, with some YAML of its own kind."""
    changed = changed_document(document, choices)
    flow = choices.one_of((None, True, False))
    text = yaml.safe_dump(changed, default_flow_style=flow, allow_unicode=choices.flag(), sort_keys=False)
    for _ in range(choices.below(3)):
        lines = text.split("\n")
        at = choices.below(len(lines))
        lines.insert(at, choices.one_of(_TRICKS).rstrip("\n") if choices.flag() else choices.text())
        text = "\n".join(lines)
    content = text.encode("utf-8", "surrogatepass")
    return changed_bytes(content, choices) if choices.below(4) == 3 else content


@cache
def _configurations() -> list[Any]:
    presets = [ExperimentConfig.preset(name).model_dump(mode="json") for name in ("seed", "base")]
    return [*presets, {"preset": "small", "training": {"epochs": 3}}]


def configuration_of(choices: Choices) -> bytes:
    """Return settings of an experiment."""
    return yaml_of(choices.one_of(_configurations()), choices)


def _use_configuration(data: bytes) -> None:
    content, choices = two_ways(data)
    content = configuration_of(choices) if content is None else content
    overrides = [f"{choices.text()}={choices.text()}" for _ in range(choices.below(3))]
    config = ExperimentConfig.load(file_of("settings.yaml", content), overrides)
    if ExperimentConfig.load(file_of("again.yaml", config.to_yaml().encode())) != config:
        raise Finding("promise: settings that were written are read as they were")


def _budget() -> Any:
    return {"targets": [target.model_dump(mode="json") for target in Budget().targets]}


def _use_budget(data: bytes) -> None:
    content, choices = two_ways(data)
    content = yaml_of(_budget(), choices) if content is None else content
    budget = Budget.load(file_of("budget.yaml", content))
    if Budget.load(file_of("again.yaml", budget.to_yaml().encode())) != budget:
        raise Finding("promise: a budget that was written is read as it was")


_TABLE = "annotation,label:A,label:B\nwalk;1,walking,moving\nsit,sitting,still\n,,\nsleep,sleeping,still\n"


def table_of(text: str, choices: Choices) -> bytes:
    """Return a small table with cells and lines changed."""
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(choices.below(6)):
        row = choices.one_of(rows)
        at = choices.below(len(row) + 1)
        row[at : at + choices.below(3)] = [choices.text()]
    lines = [",".join(row) for row in rows]
    content = choices.one_of(("\n", "\r\n", "\r")).join(lines)
    encoded = content.encode(choices.one_of(("utf-8", "utf-8-sig", "latin-1", "utf-16")), "replace")
    return changed_bytes(encoded, choices) if choices.below(4) == 3 else encoded


@cache
def _annotated() -> Any:
    lines = [f"2024-03-04 09:30:00.{n * 10:03d},0.1,0.2,0.9,{('walk;1', 'sit')[n % 2]}" for n in range(50)]
    text = "\n".join(["time,x,y,z,annotation", *lines]) + "\n"
    return read_recording(file_of("annotated.csv", text.encode()))[0]


def _use_annotations(data: bytes) -> None:
    content, choices = two_ways(data)
    content = table_of(_TABLE, choices) if content is None else content
    path = file_of(capture24.DICTIONARY, content)
    column = choices.one_of(("label:A", "label:B", None, choices.text()))
    labels = LabelMap.from_csv(path, column)
    recording = labels.apply(_annotated(), "annotated.csv")
    labels.without_class(_annotated())
    if not set(recording["annotation"].cat.categories) <= set(labels.classes):
        raise Finding("promise: what is applied gives classes of the map")
    for schema in capture24.schemas(place()):
        capture24.read_dictionary(place(), schema)


_PEOPLE = "pid,age,sex\nP001,18-29,F\nP002,30-37,M\n"


def _use_people(data: bytes) -> None:
    content, choices = two_ways(data)
    file_of(capture24.METADATA, table_of(_PEOPLE, choices) if content is None else content)
    capture24.read_metadata(place())


_RUN_FILES = (
    "config.yaml",
    "params.json",
    "evaluation.json",
    "metrics.jsonl",
    "environment.json",
    "summary.json",
)


@cache
def _run() -> tuple[Path, dict[str, bytes]]:
    from run_folders import write_run

    folder = write_run(place() / "run")
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in _RUN_FILES}
    return folder, kept


def _changed_file(name: str, content: bytes, choices: Choices) -> bytes:
    if name.endswith(".yaml"):
        return yaml_of(yaml.safe_load(content), choices)
    documents = [
        json.loads(line) for line in (content.splitlines() if name.endswith(".jsonl") else [content])
    ]
    texts = [json.dumps(changed_document(document, choices)) for document in documents]
    changed = "\n".join(texts).encode("utf-8", "surrogatepass")
    return changed_bytes(changed, choices) if choices.below(4) == 3 else changed


def _use_run(data: bytes) -> None:
    folder, files = _run()
    for name, kept in files.items():
        (folder / name).write_bytes(kept)
    content, choices = two_ways(data)
    if content is None:
        name = choices.one_of(sorted(files))
        content = _changed_file(name, files[name], choices)
    else:
        name, content = sorted(files)[content[:1][0] % len(files)] if content else "config.yaml", content[1:]
    (folder / name).write_bytes(content)
    run = StoredRun.open(folder)
    for fact in (
        "name",
        "state",
        "began",
        "n_epochs",
        "most_epochs",
        "data_dir",
        "environment",
        "provenance",
    ):
        getattr(run, fact)
    for fact in ("history", "evaluation", "cross_validation", "final", "scored_on"):
        getattr(run, fact)


TARGETS = {
    "configuration": Target(
        "YAML settings of an experiment",
        lambda: [
            b"\1",
            *as_it_is(configuration_of(Choices(b"")), *(t.encode() for t in _TRICKS)),
            *by_choice(12),
        ],
        _use_configuration,
    ),
    "budget": Target(
        "YAML budgets of real-time targets",
        lambda: [b"\1", *as_it_is(yaml_of(_budget(), Choices(b""))), *by_choice(12)],
        _use_budget,
    ),
    "annotations": Target(
        "label maps, as CAPTURE-24's dictionary",
        lambda: [b"\1", *as_it_is(_TABLE.encode()), *by_choice(12)],
        _use_annotations,
    ),
    "people": Target(
        "tables of people, as CAPTURE-24's metadata",
        lambda: [b"\1", *as_it_is(_PEOPLE.encode()), *by_choice(12)],
        _use_people,
    ),
    "run": Target(
        "the records of a run folder",
        lambda: by_choice(16),
        _use_run,
    ),
}
