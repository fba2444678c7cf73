"""Model folders as the package ships them, made for tests: untrained, in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from patchtst_har.inference.pretrained_card import write_pretrained_card
from patchtst_har.records.pretrained import (
    Baseline,
    DecisionLatency,
    Judgement,
    KnownFailure,
    PretrainedModel,
    Robustness,
    TemperatureFit,
    TrainingData,
)
from patchtst_har.records.run import ClassScores, Interval, ParticipantSplit, Provenance
from patchtst_har.support.files import atomic_write_json
from streams import CLASSES, small_recognizer

WATCH = TrainingData(
    name="made",
    n_people=3,
    recorded_with="no device",
    class_map={"slow walking": "walking", "sitting": "sitting", "jogging": "running", "falling": None},
    citations=("Nobody, Nowhere 2024.",),
    source="example.org, version 1",
    licence="CC BY 4.0",
    licence_source="a catalogue; the repository of the files states none",
)
JUDGED = Judgement(
    name="made, three folds over people",
    kind="cross-validation",
    n_people=3,
    n_windows=1234,
    macro_f1=Interval(estimate=0.8125, low=0.75, high=0.875),
    ece=0.04,
    per_class=tuple(
        ClassScores(name=name, precision=0.8, recall=0.7, f1=0.75, support=5) for name in CLASSES
    ),
    per_person={"P1": 0.9, "P2": 0.5, "P3": 0.7},
    per_seed={"0": 0.81, "1": 0.82},
    baselines=(
        Baseline(name="forest", macro_f1=0.75, difference=Interval(estimate=0.0625, low=-0.01, high=0.1)),
    ),
)


def a_model(**changes: Any) -> PretrainedModel:
    """Return the record of a model of three classes."""
    values = {
        "name": "wrist",
        "description": "Three activities of a wrist.",
        "classes": CLASSES,
        "n_people": 3,
        "data": (WATCH,),
        "licence": "Weights: Apache-2.0; cite the data set.",
        "cross_validated": JUDGED,
        "calibration": TemperatureFit(
            temperature=1.25, fitted_on="validation people", n_people=2, ece_before=0.09, ece_after=0.03
        ),
        "known_failures": (KnownFailure(when="sensor | reversed", what="all is sitting"),),
        "robustness": (Robustness(change="25 Hz", macro_f1=0.79, difference=-0.0225),),
        "latency": (
            DecisionLatency(
                instruction_set="avx2",
                p50_ms=0.1,
                p95_ms=0.2,
                machine="a laptop",
                date="2026-01-02",
                command="c",
            ),
        ),
        "n_parameters": 12345,
        "seeds": (0, 1),
        "made_with": "python -m studies.made",
        "package_version": "0.1.0",
    }
    return PretrainedModel(**{**values, **changes})


def an_encoder(**changes: Any) -> PretrainedModel:
    """Return the record of a model that gives no labels."""
    values = {"name": "wrist-base", "purpose": "fine-tuning", "cross_validated": None, "known_failures": ()}
    return a_model(**{**values, **changes})


def ship(root: Path, record: PretrainedModel) -> Path:
    """Write an untrained model with its record as a model folder below `root`; return the folder."""
    folder = small_recognizer().save_pretrained(root / record.name)
    split = ParticipantSplit(train=("P1", "P2", "P3"), val=(), test=(), fingerprint="f")
    provenance = Provenance(split=split, n_windows={"train": 9, "val": 0, "test": 0})
    atomic_write_json(folder / "provenance.json", provenance.to_json())
    write_pretrained_card(folder, record)
    return folder
