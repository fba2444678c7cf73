"""What the package says of a model that it ships: `summary.json` in the model's folder.

The model's card, the list of `patchtst-har models` and what the commands say of the model are made from it.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from patchtst_har.records.run import ClassScores, Interval, Record


class TrainingData(Record):
    """A data set that a model was trained on."""

    name: str
    n_people: int
    recorded_with: str
    """Device, wrist, rate and range, such as "Axivity AX3, dominant wrist, 100 Hz, 8 g"."""
    class_map: dict[str, str | None]
    """Activity as recorded to class of the model; None where its windows were left out."""
    citations: tuple[str, ...]
    source: str
    """Where the files come from: address and version."""
    licence: str
    licence_source: str
    """Who states the licence, such as "UCI's catalogue; the repository of the files states none"."""

    @field_validator("citations")
    @classmethod
    def _cited(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("needs at least one")
        return value


class Baseline(Record):
    """Another method on the same windows and folds, and the model minus it, paired over people."""

    name: str
    macro_f1: float
    difference: Interval | None = None


class Judgement(Record):
    """Scores on people who did not train the judged model; intervals are of 95 %, over people."""

    name: str
    """What was judged, such as "selfBACK, five folds over people"."""
    kind: Literal["cross-validation", "new people", "other data set"]
    n_people: int
    n_windows: int
    macro_f1: Interval
    accuracy: Interval | None = None
    smoothing: str = "none"
    """``none``: window by window; else as `Recognizer.smoothing`."""
    ece: float | None = None
    """Expected calibration error after calibration."""
    per_class: tuple[ClassScores, ...] = ()
    per_person: dict[str, float] = Field(default_factory=dict)
    """Macro F1 of each person."""
    per_seed: dict[str, float] = Field(default_factory=dict)
    """Macro F1 of each seed of the training; `macro_f1` is their mean."""
    baselines: tuple[Baseline, ...] = ()
    remark: str = ""

    @field_validator("macro_f1")
    @classmethod
    def _scored(cls, value: Interval) -> Interval:
        if value.estimate is None:
            raise ValueError("needs an estimate")
        return value


class TemperatureFit(Record):
    """How the probabilities were calibrated: one temperature, folded into the last layer."""

    temperature: float
    fitted_on: str
    n_people: int
    ece_before: float
    ece_after: float


class KnownFailure(Record):
    """Where the model is known to be wrong."""

    when: str
    what: str
    """What it does then, with its measured size if there is one."""


class Robustness(Record):
    """A score on recordings that were changed, such as turned or cut to 25 samples per second."""

    change: str
    macro_f1: float
    difference: float
    """Minus the score without the change."""


class DecisionLatency(Record):
    """From the last sample of a window to its label, everything included."""

    instruction_set: str
    p50_ms: float
    p95_ms: float
    machine: str
    date: str
    command: str


class PretrainedModel(Record):
    """`summary.json`: a shipped model, what it was trained on, how well it did and where it fails."""

    name: str
    description: str
    """One line."""
    purpose: Literal["labels", "fine-tuning"] = "labels"
    """An encoder for fine-tuning gives no labels."""
    classes: tuple[str, ...]
    n_people: int
    """Who trained it, over all data sets."""
    data: tuple[TrainingData, ...]
    licence: str
    """One sentence: of the weights, and what the data sets ask."""
    cross_validated: Judgement | None = None
    """The score that a command shows; None for an encoder."""
    judgements: tuple[Judgement, ...] = ()
    """Further ones: new people, other data sets."""
    calibration: TemperatureFit | None = None
    known_failures: tuple[KnownFailure, ...] = ()
    robustness: tuple[Robustness, ...] = ()
    latency: tuple[DecisionLatency, ...] = ()
    n_parameters: int
    seeds: tuple[int, ...]
    made_with: str
    """The command that makes the weights."""
    package_version: str

    @property
    def citations(self) -> tuple[str, ...]:
        """What to cite, each once."""
        return tuple(dict.fromkeys(text for part in self.data for text in part.citations))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "\n" in self.description:
            raise ValueError("description: needs one line")
        if (n_people := sum(part.n_people for part in self.data)) != self.n_people:
            raise ValueError(f"n_people: is {self.n_people}, the data sets have {n_people}")
        for part in self.data if self.purpose == "labels" else ():
            unknown = sorted({name for name in part.class_map.values() if name is not None} - {*self.classes})
            if unknown:
                raise ValueError(
                    f"data: {part.name}: class_map: {', '.join(unknown)} is no class of the model"
                )
        judged = (self.cross_validated, *self.judgements) if self.purpose == "labels" else ()
        for one in judged:
            odd = {row.name for row in one.per_class} - {*self.classes} if one else set()
            if one and odd:
                raise ValueError(f"{one.name}: per_class: {', '.join(sorted(odd))} is no class of the model")
        if self.purpose == "labels" and (self.cross_validated is None or not self.known_failures):
            raise ValueError("a model that gives labels needs cross_validated and known_failures")
        return self
