"""What a run folder holds, checked: every number in a report comes through these classes."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

MIN_PEOPLE_FOR_DECILE = 10
"""With fewer people, nobody is the worst tenth: the 10th percentile would lie between the worst two."""


class Record(BaseModel):
    """Base of the records: finite numbers only, further keys allowed."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class Interval(Record):
    """A score with its bounds; None where it is undefined."""

    estimate: float | None
    low: float | None
    high: float | None


class Intervals(Record):
    """Result of `patchtst_har.evaluation.bootstrap.bootstrap_intervals`."""

    n_resamples: int
    confidence: float
    n_participants: int
    accuracy: Interval
    macro_f1: Interval
    cohen_kappa: Interval


class Bootstrap(Record):
    """Intervals before and after smoothing, and of the paired difference."""

    raw: Intervals
    smoothed: Intervals
    smoothed_minus_raw: Intervals


class ClassScores(Record):
    """Scores of one class."""

    name: str = Field(alias="class")
    precision: float
    recall: float
    f1: float
    support: int


class PersonScores(Record):
    """Scores of one person."""

    participant: str
    n: int
    accuracy: float | None
    macro_f1: float | None
    cohen_kappa: float | None


class Spread(Record):
    """A score over people; ``worst_decile`` is None for fewer than 10 people."""

    n: int
    mean: float | None
    sd: float | None
    median: float | None
    worst_decile: float | None

    @field_validator("worst_decile")
    @classmethod
    def _drop_of_few(cls, value: float | None, info: ValidationInfo) -> float | None:
        return value if info.data.get("n", 0) >= MIN_PEOPLE_FOR_DECILE else None


class SpreadOfScores(Record):
    """Spread of each score."""

    accuracy: Spread
    macro_f1: Spread
    cohen_kappa: Spread


class Persons(Record):
    """Scores person by person."""

    n_participants: int
    scores: tuple[PersonScores, ...]
    summary: SpreadOfScores


class Bin(Record):
    """One bin of a reliability diagram."""

    lower: float
    upper: float
    n: int
    confidence: float | None
    accuracy: float | None


class Calibration(Record):
    """Result of `patchtst_har.evaluation.calibration.calibration`."""

    ece: float
    brier: float
    nll: float
    n_bins: int
    bins: tuple[Bin, ...]


class Confusion(Record):
    """Counts; row: true class, column: predicted class."""

    counts: tuple[tuple[int, ...], ...]


class Scores(Record):
    """Result of `patchtst_har.evaluation.metrics.evaluate`."""

    n_windows: int
    classes: tuple[str, ...]
    n_classes_present: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    macro_f1_present: float
    weighted_f1: float
    macro_precision: float
    macro_recall: float
    macro_f2: float
    cohen_kappa: float | None
    mcc: float | None
    transition_accuracy: float | None
    n_transitions: int | None
    per_class: tuple[ClassScores, ...]
    confusion: Confusion
    per_participant: Persons | None
    calibration: Calibration | None

    @model_validator(mode="after")
    def _check(self) -> Self:
        size = len(self.classes)
        if len(self.confusion.counts) != size or any(len(row) != size for row in self.confusion.counts):
            raise ValueError(f"confusion.counts: needs {size} rows and columns")
        if tuple(row.name for row in self.per_class) != self.classes:
            raise ValueError("per_class: needs one row a class, in the order of classes")
        return self


class Split(Record):
    """Who trained, validated and tested."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    fingerprint: str


class CausalScores(Record):
    """Scores that a stream reaches if it waits for `lag` later windows."""

    lag: int
    accuracy: float
    macro_f1: float
    minus_offline: Intervals | None = None


class Evaluation(Record):
    """`evaluation.json`: the shipped model on people it never met."""

    classes: tuple[str, ...]
    split: Split
    n_windows: dict[str, int]
    topology_engines: dict[str, int] = {}
    raw: Scores
    smoothed: Scores
    causal: tuple[CausalScores, ...] = ()
    bootstrap: Bootstrap | None = None


class Fold(Record):
    """One fold of a cross-validation."""

    fold: int
    test: tuple[str, ...]
    macro_f1_raw: float
    macro_f1_smoothed: float


class CrossValidation(Record):
    """`cross_validation.json`: every person held out once."""

    n_folds: int
    raw: Scores
    smoothed: Scores
    causal: tuple[CausalScores, ...] = ()
    bootstrap: Bootstrap | None = None
    folds: tuple[Fold, ...] = ()
    baselines: dict[str, Scores] = {}


class ModuleSize(Record):
    """One row of the complexity table."""

    name: str
    type: str
    parameters: int
    flops: int


class Complexity(Record):
    """`complexity.json`, from `patchtst_har.benchmark.complexity.model_complexity`."""

    parameters: int
    trainable_parameters: int
    parameter_bytes_float32: int
    flops: int
    modules: tuple[ModuleSize, ...] = ()


class TopologyExample(Record):
    """`topology.json`, from `patchtst_har.evaluation.topology_example.topology_example`."""

    participant: str
    label: str
    sample_rate_hz: float
    magnitude: tuple[float, ...]
    factor: int
    series: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    h0: tuple[tuple[float, float], ...]
    h1: tuple[tuple[float, float], ...]
    radius: float
    features: dict[str, float]


class MetricLine(Record):
    """One line of `metrics.jsonl`."""

    phase: str
    step: int
    metrics: dict[str, float]
