"""What a run folder holds: producers build these records, `Record.to_json` is written, readers check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

MIN_PARTICIPANTS_FOR_DECILE = 10
"""With fewer, nobody is the worst tenth: the 10th percentile would lie between the worst two."""


class Record(BaseModel):
    """Base of the records: finite numbers only, further keys of a file ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """Return what is written to a file: JSON values under the names of the file."""
        return self.model_dump(mode="json", by_alias=True)


class ByMetric(Record):
    """A record with one value for each metric, under the metric's name.

    The names are those of `patchtst_har.evaluation.metrics` when the record was made; a file of another
    version may hold others. Metrics on which headlines rest are fields, so they are always there.
    """

    model_config = ConfigDict(extra="allow")

    nested: ClassVar[bool] = False
    """Whether the value of a metric is a record, not a number."""

    @model_validator(mode="before")
    @classmethod
    def _ignore_other_forms(cls, values: Any) -> Any:
        """Drop keys of later versions that cannot be metrics by the form of their values."""
        if not isinstance(values, Mapping):
            return values
        return {
            name: value
            for name, value in values.items()
            if name in cls.model_fields
            or (isinstance(value, Mapping | BaseModel) == cls.nested and not isinstance(value, list))
        }

    def __getitem__(self, metric: str) -> Any:
        """Return the value of a metric, None if the record does not have it."""
        return getattr(self, metric, None)


class Interval(Record):
    """A score with its bounds; None where it is undefined."""

    estimate: float | None
    low: float | None
    high: float | None


class Intervals(ByMetric):
    """Bootstrap intervals of pooled scores, or of the difference between two sets of decisions."""

    nested: ClassVar[bool] = True
    __pydantic_extra__: dict[str, Interval] = Field(init=False)

    n_resamples: int
    confidence: float
    seed: int
    n_participants: int
    accuracy: Interval
    macro_f1: Interval


class Bootstrap(Record):
    """Intervals before and after smoothing, and of the paired difference."""

    raw: Intervals
    smoothed: Intervals
    smoothed_minus_raw: Intervals


class ClassScores(Record):
    """Scores of one class."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(validation_alias="class", serialization_alias="class")
    precision: float
    recall: float
    f1: float
    support: int


class ParticipantScores(ByMetric):
    """Scores of one participant; None where a score is undefined."""

    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    participant: str
    n: int
    n_classes: int
    accuracy: float | None
    macro_f1: float | None


class Spread(Record):
    """A score over participants; `worst_decile` is None for fewer than 10."""

    n: int
    mean: float | None
    sd: float | None
    median: float | None
    worst_decile: float | None

    @field_validator("worst_decile")
    @classmethod
    def _drop_of_few(cls, value: float | None, info: ValidationInfo) -> float | None:
        return value if info.data.get("n", 0) >= MIN_PARTICIPANTS_FOR_DECILE else None


class SpreadOfScores(ByMetric):
    """The spread of each score over participants."""

    nested: ClassVar[bool] = True
    __pydantic_extra__: dict[str, Spread] = Field(init=False)

    accuracy: Spread
    macro_f1: Spread


class PerParticipant(Record):
    """Scores of each participant, and how they spread."""

    n_participants: int
    scores: tuple[ParticipantScores, ...]
    summary: SpreadOfScores


class Bin(Record):
    """One bin of a reliability diagram; confidence and accuracy are None in an empty bin."""

    lower: float
    upper: float
    n: int
    confidence: float | None
    accuracy: float | None


class CalibrationScores(ByMetric):
    """Scores of probabilities, and the bins of a reliability diagram."""

    __pydantic_extra__: dict[str, float] = Field(init=False)

    n_bins: int
    bins: tuple[Bin, ...]


class Confusion(Record):
    """Counts, and each row divided by its sum; row: true class, column: predicted class."""

    counts: tuple[tuple[int, ...], ...]
    row_normalised: tuple[tuple[float | None, ...], ...]


class Scores(ByMetric):
    """All scores of one set of decisions; None where a score is undefined or its input was not given."""

    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    n_windows: int
    classes: tuple[str, ...]
    n_classes_present: int
    accuracy: float
    macro_f1: float
    transition_accuracy: float | None
    n_transitions: int | None
    per_class: tuple[ClassScores, ...]
    confusion: Confusion
    per_participant: PerParticipant | None
    calibration: CalibrationScores | None

    @model_validator(mode="after")
    def _check(self) -> Self:
        size = len(self.classes)
        if len(self.confusion.counts) != size or any(len(row) != size for row in self.confusion.counts):
            raise ValueError(f"confusion.counts: needs {size} rows and columns")
        if tuple(row.name for row in self.per_class) != self.classes:
            raise ValueError("per_class: needs one row per class, in the order of classes")
        return self


class CausalScores(ByMetric):
    """Scores that a stream reaches if it waits for `lag` later windows."""

    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    lag: int
    accuracy: float
    macro_f1: float
    minus_offline: Intervals | None = None


class HeldOutScores(Record):
    """Scores on held-out participants: raw, smoothed offline, and causal."""

    classes: tuple[str, ...]
    raw: Scores
    smoothed: Scores
    causal: tuple[CausalScores, ...] = ()
    bootstrap: Bootstrap | None = None


class ParticipantSplit(Record):
    """Who trained, validated and tested."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    fingerprint: str


class CalibrationGain(Record):
    """How well probabilities fit some people's windows, with the logits as trained and as calibrated."""

    n_participants: int
    n_windows: int
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float


class Calibration(Record):
    """The temperature that is part of a model's last layer (`patchtst_har.training.calibrate`)."""

    temperature: float
    fitted_on: str = "the validation participants"
    validation: CalibrationGain | None = None
    """On the validation participants; None for shipped models, of which ``summary.json`` says it."""
    test: CalibrationGain | None = None
    """On people who had no part in it."""


class InitialModel(Record):
    """The stored model with which a training began."""

    name: str
    weights: str
    """SHA-256 of its weights file."""
    fine_tune: str
    new: tuple[str, ...]
    """Tensors that were not taken over from it."""


class Pretraining(Record):
    """How an encoder was pre-trained; its scores are of people who were not trained on, if some validated."""

    kind: str
    """``masked`` or ``supervised``."""
    data: tuple[str, ...]
    """Data sets, by the names of their folders."""
    loss: float
    """``masked``: mean squared error on hidden samples, scaled; ``supervised``: cross entropy."""
    mask_fraction: float | None = None
    zero_loss: float | None = None
    """Loss of zeros in place of the prediction, on the same samples."""
    macro_f1: float | None = None
    """Over the classes of all data sets."""


class Provenance(Record):
    """`provenance.json`: what a model was trained and tested on."""

    split: ParticipantSplit
    n_windows: dict[str, int]
    topology_engines: dict[str, int] = {}
    source_rates_hz: tuple[float, float] | None = None
    """Lowest and highest sampling rate of the training people's recordings, before resampling."""
    temperature: Calibration | None = None
    """None: the logits are as trained."""
    init: InitialModel | None = None
    """What training began with, if not with random weights."""
    data_fingerprint: str | None = None
    """`PreparedDataset.fingerprint` of everyone in the split; None in folders of earlier versions."""
    untrained: tuple[str, ...] = ()
    """Parts of the network that are as they were made: without trained heads, a model gives no labels."""
    pretraining: Pretraining | None = None


class SmoothingChoice(Record):
    """What was chosen on the validation participants (`patchtst_har.training.smoothing_choice`)."""

    method: str
    chosen: bool
    """Whether `method` was chosen here; if not, the configuration named it."""
    n_participants: int
    macro_f1_raw: float
    macro_f1_smoothed: float


class Evaluation(Provenance, HeldOutScores):
    """`evaluation.json` of a run: the shipped model on held-out participants."""

    predictions_file: str | None = None
    smoothing: SmoothingChoice | None = None


class FolderScores(HeldOutScores):
    """`evaluation.json` of ``patchtst-har evaluate``: a model folder on chosen participants."""

    participants: tuple[str, ...]
    smoothing: str | None = None
    warnings: tuple[str, ...]


class Fold(Record):
    """One fold of a cross-validation."""

    fold: int
    test: tuple[str, ...]
    macro_f1_raw: float
    macro_f1_smoothed: float


class BaselineScores(Scores):
    """Scores of a baseline, not smoothed, on the windows on which the model was judged."""

    n_fitted: int | None = None
    """Windows that it was fitted on, of the largest fold."""
    model_minus_baseline: Intervals | None = None
    """What the model gains, not smoothed, paired over participants; None for one participant."""


class Baselines(Record):
    """`baselines.json` of a run: baselines on its test participants."""

    baselines: dict[str, BaselineScores]


class CrossValidation(HeldOutScores):
    """`cross_validation.json`: every participant held out once."""

    n_folds: int
    folds: tuple[Fold, ...] = ()
    baselines: dict[str, BaselineScores] = {}


class AblationArm(Record):
    """What one part of the input, or smoothing, brings: models trained without it and with it, same folds."""

    name: str
    macro_f1: float
    accuracy: float
    bootstrap: Intervals | None = None
    """None for one participant."""
    minus_before: Intervals | None = None
    """What is gained over the arm before, paired over participants; None for the first arm."""


class Ablation(Record):
    """`ablation.json`: parts of the input added one by one, every participant held out once."""

    n_folds: int
    n_participants: int
    n_windows: int
    arms: tuple[AblationArm, ...]
    left_out: dict[str, str] = {}
    """Arms that the data does not allow, and why."""


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
    """`topology.json`: one window, its delay embedding (in g), persistence diagrams and features."""

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


class Artifact(Record):
    """A file or folder of a run."""

    path: str
    description: str


class MetricLine(Record):
    """One line of `metrics.jsonl`."""

    phase: str
    step: int
    time: str
    metrics: dict[str, float]
