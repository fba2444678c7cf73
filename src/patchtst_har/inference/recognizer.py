"""The trained system as one object: recordings in, timelines out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from patchtst_har.config import ExperimentConfig
from patchtst_har.data.times import iana_zone
from patchtst_har.data.units import MOST_G, SignalWarning
from patchtst_har.datasets.inputs import ModelInputs
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.inference.adaptation import (
    Adaptation,
    class_indices,
    fit_residual,
    weights_fingerprint,
    window_shares,
)
from patchtst_har.inference.familiarity import (
    Familiarity,
    load_familiarity,
)
from patchtst_har.inference.inputs import check_windows, model_inputs
from patchtst_har.inference.model_card import MODEL_CARD_FILE
from patchtst_har.inference.native import NativeClassifier
from patchtst_har.inference.native_program import Precision
from patchtst_har.inference.probabilities import (
    predict_embedded,
    predict_native,
    predict_probabilities,
    probabilities_of,
)
from patchtst_har.inference.window_classifier import SingleWindowClassifier
from patchtst_har.model_folder import (
    FAMILIARITY_FILE,
    PROVENANCE_FILE,
    SMOOTHING_FILE,
    StoredModel,
    TrainedOn,
    memory_errors_named,
    read_model_folder,
    read_trained_on,
    write_model_folder,
)
from patchtst_har.pretrained import SUMMARY_FILE, find_model, refuse_encoder, shown_name
from patchtst_har.realtime.backlog import DropPolicy
from patchtst_har.realtime.stream import Stream
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.smoothing.decide import causal_name, hop_s, parse_method
from patchtst_har.support.files import atomic_path
from patchtst_har.support.formatting import counted
from patchtst_har.support.progress import OnProgress

if TYPE_CHECKING:
    import pandas as pd

    from patchtst_har.inference.labelling import LabelledRecording
    from patchtst_har.models import PatchTSTClassifier

Engine = Literal["native", "torch"]

_DOCUMENTS = (PROVENANCE_FILE, SUMMARY_FILE, MODEL_CARD_FILE)


@dataclass(frozen=True)
class Prediction:
    """Classes of n windows, each judged for itself (no smoothing).

    Attributes
    ----------
    labels : ndarray of str, shape (n,)
        Class of the largest probability; "" for a window with a sample beyond `data.units.MOST_G`, which is
        no measurement.
    probabilities : ndarray, shape (n, K)
        Columns in the order of `Recognizer.classes`; all 0 for a window without a label.
    distances : ndarray, shape (n,)
        From the windows that the model was trained on; beyond 1 a window is unfamiliar (`Familiarity`). NaN
        for a window without a label, and where the model does not know.
    """

    labels: NDArray[np.str_]
    probabilities: NDArray[np.float64]
    distances: NDArray[np.float64]


@dataclass(eq=False, repr=False)
class Recognizer:
    """A trained classifier with its smoother and the configuration of its data.

    Parameters
    ----------
    model : NativeClassifier or PatchTSTClassifier
        The classifier: compiled, which needs no torch, or the torch module.
    classes : tuple of str
        Class names in the order of the logits.
    config : ExperimentConfig
        Windows, features and smoothing are done as it says.
    smoother : HMMSmoother, optional
        Without it, decisions are not smoothed.
    lag : int, optional
        Recordings are smoothed as a stream would that waits for so many later windows; None: by the most
        probable path over each segment, past and future.
    trained_on : TrainedOn, optional
        What the rate of a recording is compared with.
    familiarity : Familiarity, optional
        What windows are compared with; without it, no window is called unfamiliar, and `adapt` is refused.
    adaptation : Adaptation, optional
        What the weights of `model` hold of a person; only said here, not added.
    documents : mapping of str to bytes, optional
        Files that say what the model is, by name: provenance, summary, card. `save_pretrained` writes them.
    """

    model: NativeClassifier | PatchTSTClassifier
    classes: tuple[str, ...]
    config: ExperimentConfig
    smoother: HMMSmoother | None = None
    _: KW_ONLY
    lag: int | None = None
    trained_on: TrainedOn | None = None
    familiarity: Familiarity | None = None
    adaptation: Adaptation | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.model, NativeClassifier):
            self.model.eval()

    @property
    def smoothing(self) -> str:
        """How recordings are smoothed: ``none``, ``hmm``, ``filter`` or ``lag:K``."""
        if self.smoother is None:
            return "none"
        return "hmm" if self.lag is None else causal_name(self.lag)

    @property
    def trained_on_text(self) -> str:
        """Whom the model was trained on, such as "74 people"."""
        known = self.trained_on
        return "unknown people" if known is None else counted(known.n_people, "person", "people")

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        engine: Engine = "native",
        precision: Precision = "float32",
        smoothing: str | None = None,
        adaptation: Path | str | None = None,
    ) -> Self:
        """Load a shipped model or a model folder.

        Parameters
        ----------
        folder : str or pathlib.Path
            The name of a shipped model, such as ``wrist`` (`patchtst_har.pretrained.find_model` says which
            texts are names), or the model folder.
        engine : {"native", "torch"}
            What computes the logits: the compiled engine, or the torch module. They agree to rounding.
        precision : {"float32", "bfloat16"}
            Of the compiled engine (`NativeClassifier`).
        smoothing : str, optional
            Of recordings: ``none``; ``hmm``: the most probable path, past and future; ``filter``: from the
            windows so far; ``lag:K``: each window from K later ones, too. None: as chosen in training.
        adaptation : path-like, optional
            What `save_adaptation` wrote of this model: recognise as it was adapted.

        Raises
        ------
        ModelFolderError
            If there is no such model, a file is missing or damaged, the files do not fit each other, memory
            does not suffice, the model is for fine-tuning only, or smoothing is asked for and it has no
            smoother.
        DataError
            If there is no such smoothing, or the adaptation is damaged or belongs to another model.
        PrecisionError
            If the precision is not available here.
        ValueError
            If there is no such engine, or another precision is asked of torch.
        """
        if engine not in get_args(Engine):
            raise ValueError(f"engine must be one of {', '.join(get_args(Engine))}, not {engine!r}")
        if engine == "torch" and precision != "float32":
            raise ValueError(f"precision: {precision} is for the native engine, torch computes in float32")
        lag = parse_method(smoothing) if smoothing not in (None, "none") else None
        folder = find_model(folder)
        refuse_encoder(folder)
        stored = read_model_folder(folder)
        classes, config = stored.classes, stored.config
        familiarity = load_familiarity(folder, len(classes), stored.tensors)
        adapted = None if adaptation is None else Adaptation.load(adaptation, stored.tensors, classes)
        if adapted is not None:
            stored = replace(stored, tensors=adapted.folded(stored.tensors))
        model = _build(stored, folder, engine, precision)
        if smoothing is None:
            smoothing = "none" if config.smoothing.method == "none" else "hmm"
        else:
            lacks_smoother = config.smoothing.method == "none" and not (folder / SMOOTHING_FILE).exists()
            if smoothing != "none" and lacks_smoother:
                raise ModelFolderError(f"{shown_name(folder)}: the model has no smoother; --smoothing none")
            method: Literal["none", "viterbi"] = "none" if smoothing == "none" else "viterbi"
            config = config.replace(smoothing=config.smoothing.replace(method=method))
        smoother = None if smoothing == "none" else _load_smoother(folder, len(classes), config)
        return cls(
            model,
            classes,
            config,
            smoother,
            lag=lag,
            trained_on=read_trained_on(folder),
            familiarity=familiarity,
            adaptation=adapted,
            documents={
                path.name: path.read_bytes() for name in _DOCUMENTS if (path := folder / name).exists()
            },
        )

    def replace(self, **changes: Any) -> Recognizer:
        """Return a copy with `changes`: other values of some of the constructor's arguments.

        Another model, or other classes, are not what the documents describe: it has none then.
        """
        lost: dict[str, Any] = {"documents": {}} if {"model", "classes"} & changes.keys() else {}
        return replace(self, **{**lost, **changes})

    def save_pretrained(self, folder: Path | str) -> Path:
        """Write the model folder, with provenance, summary and card if the model was loaded with them.

        Parameters
        ----------
        folder : path-like
            Created if need be; files of these names are replaced.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        DataError
            If the model is adapted to a person, which the files would not say; nothing is written.
        """
        if self.adaptation is not None:
            raise DataError(
                "the model is adapted to a person, which a model folder does not say: save_adaptation writes "
                "what was added"
            )
        if isinstance(self.model, NativeClassifier):
            folder = write_model_folder(folder, self.model.tensors, self.classes, self.config)
        else:
            from patchtst_har.models.folder import save_model

            folder = save_model(folder, self.model, self.classes, self.config)
        if self.smoother is not None:
            self.smoother.save(folder / SMOOTHING_FILE)
        if self.familiarity is not None:
            self.familiarity.save(folder / FAMILIARITY_FILE)
        for name, content in self.documents.items():
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)
        return folder

    def torch_module(self) -> PatchTSTClassifier:
        """Return the classifier as a torch module in evaluation mode: a new one if the engine is native."""
        if not isinstance(self.model, NativeClassifier):
            return self.model
        from patchtst_har.models.folder import build_module

        return build_module(self.model.config, self.model.num_classes, self.model.tensors)

    def in_zone(self, timezone: str | None) -> Recognizer:
        """Return the same recogniser for wearers in another zone (`data.timezone`).

        Parameters
        ----------
        timezone : str or None
            IANA name, such as ``Europe/Berlin``; None changes nothing.

        Raises
        ------
        DataError
            If there is no such IANA zone, also where the model has no use for it.
        """
        if timezone is None:
            return self
        iana_zone(timezone)
        return self.with_data(timezone=timezone)

    def with_data(self, **changes: Any) -> Recognizer:
        """Return the same recogniser with `changes` of some fields of `data`, such as ``non_wear="off"``.

        None leaves a field as it is.

        Raises
        ------
        ConfigError
            If a field does not exist or has no such value.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if not given:
            return self
        return self.replace(config=self.config.replace(data=self.config.data.replace(**given)))

    def inputs(self, windows: NDArray[np.float32], start_ns: NDArray[np.int64] | None = None) -> ModelInputs:
        """Compute the model's inputs for windows.

        Parameters
        ----------
        windows : ndarray of float32, shape (n, window_size, 3)
            In g, without gaps.
        start_ns : ndarray of int64, shape (n,), optional
            Needed if the model uses the time of day.

        Returns
        -------
        ModelInputs
            Patches, times, statistical and topological features, as `probabilities` takes them.

        Raises
        ------
        DataError
            If the shape or type is wrong, or a window has values that are not finite (the window is named).
        FeatureError
            If a feature plug-in fails on a window.
        """
        check_windows(windows, self.config.data.window_size)
        return model_inputs(self.config, windows, start_ns)

    def probabilities(self, inputs: ModelInputs) -> NDArray[np.float64]:
        """Return the class probabilities, float64 (n, K), of windows whose `inputs` are known."""
        if isinstance(self.model, NativeClassifier):
            return predict_native(self.model, inputs, n_threads=self.config.features.n_threads)
        return predict_probabilities(self.model, inputs)

    def judge(self, inputs: ModelInputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the class probabilities (n, K) of windows and their distances (n,), NaN if not known."""
        if self.familiarity is None:
            return self.probabilities(inputs), np.full(len(inputs), np.nan)
        logits, embeddings = self.embed(inputs)
        return probabilities_of(logits), self.familiarity.distances(embeddings)

    def embed(self, inputs: ModelInputs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits (n, K) and embeddings (n, E), float32, of windows whose `inputs` are known."""
        return predict_embedded(self.model, inputs, n_threads=self.config.features.n_threads)

    def predict(self, windows: NDArray[np.float32], start_ns: NDArray[np.int64] | None = None) -> Prediction:
        """Classify windows one by one, without smoothing. Parameters and errors are those of `inputs`.

        Returns
        -------
        Prediction
            Labels and probabilities of each window.

        Warns
        -----
        patchtst_har.data.units.SignalWarning
            If windows hold samples beyond `data.units.MOST_G` and so get no label.
        """
        check_windows(windows, self.config.data.window_size)
        measured = (np.abs(windows) <= MOST_G).all(axis=(1, 2))
        if measured.all():
            probabilities, distances = self.judge(model_inputs(self.config, windows, start_ns))
            labels = np.array(self.classes)[probabilities.argmax(axis=1)]
            return Prediction(labels, probabilities, distances)
        first = int(np.flatnonzero(~measured)[0])
        warnings.warn(
            f"windows: {np.count_nonzero(~measured):,} of {len(windows):,} hold samples beyond {MOST_G:g} g, "
            f"which no wrist sensor measures, and get no label (the first is window {first})",
            SignalWarning,
            stacklevel=2,
        )
        labels = np.full(len(windows), "", dtype=np.array(self.classes).dtype)
        probabilities = np.zeros((len(windows), len(self.classes)))
        distances = np.full(len(windows), np.nan)
        if measured.any():
            known = self.predict(windows[measured], None if start_ns is None else start_ns[measured])
            labels[measured], probabilities[measured] = known.labels, known.probabilities
            distances[measured] = known.distances
        return Prediction(labels, probabilities, distances)

    def adapt(
        self,
        windows: NDArray[np.float32],
        labels: Sequence[str] | NDArray[np.str_],
        start_ns: NDArray[np.int64] | None = None,
    ) -> Recognizer:
        """Return this recogniser adapted to a person by some of the person's windows with their labels.

        A correction of the last layer is fitted (`inference.adaptation`, 5 ms for 27 windows); classes
        without labelled windows keep theirs. Labels from one bout of an activity say less of the next than
        more windows of that bout seem to: label several.

        Parameters
        ----------
        windows : ndarray of float32, shape (n, window_size, 3)
            In g, without gaps; n at least 2.
        labels : sequence of str, length n
            Each one of `classes`.
        start_ns : ndarray of int64, shape (n,), optional
            Needed if the model uses the time of day, and where windows overlap: they then count as the time
            that they cover.

        Raises
        ------
        DataError
            If windows are malformed or hold samples beyond `data.units.MOST_G`, a label is not a class of the
            model, there are too few, the model has been adapted already, or is of a version that does not
            keep what its training windows look like.
        """
        check_windows(windows, self.config.data.window_size)
        indices = class_indices(labels, self.classes, len(windows))
        beyond = np.flatnonzero((np.abs(windows) > MOST_G).any(axis=(1, 2)))
        if beyond.size:
            raise DataError(
                f"windows: window {beyond[0]} holds samples beyond {MOST_G:g} g: no wrist sensor has them"
            )
        familiarity, tensors = self.check_adaptable(), self._tensors()
        logits, embeddings = self.embed(model_inputs(self.config, windows, start_ns))
        window_s = self.config.data.window_size / self.config.data.sample_rate_hz
        shares = window_shares(start_ns, indices, window_s)
        weight, bias = fit_residual(embeddings, logits, indices, familiarity, self.head(), shares)
        counts: dict[str, int] = {}
        seconds: dict[str, float] = {}
        for k in np.unique(indices):
            own, name = indices == k, self.classes[k]
            counts[name] = int(np.count_nonzero(own))
            seconds[name] = float(shares[own].sum() * window_s)
        fingerprint = weights_fingerprint(tensors, self.classes)
        return self._adapted(Adaptation(weight, bias, fingerprint, self.classes, counts, seconds))

    def check_adaptable(self) -> Familiarity:
        """Return what `adapt` needs to know of the training windows.

        Raises
        ------
        DataError
            If the model has been adapted already, or does not keep it.
        """
        if self.adaptation is not None:
            raise DataError("the model is adapted to a person already: adapt it as it was trained")
        if self.familiarity is None:
            raise DataError(
                f"the model has no {FAMILIARITY_FILE} and cannot be adapted: it is of an earlier version or "
                "was trained without validation people; train it again"
            )
        return self.familiarity

    def save_adaptation(self, path: Path | str) -> Path:
        """Write what `adapt` found, for ``from_pretrained(model, adaptation=path)``.

        Parameters
        ----------
        path : path-like
            The file, a ``.safetensors``; one that is there is replaced.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        DataError
            If this recogniser is not adapted.
        """
        if self.adaptation is None:
            raise DataError("there is no adaptation to save: adapt() makes one")
        return self.adaptation.save(path)

    def head(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weights (K, E) and bias (K,) with which logits follow from embeddings."""
        tensors = self._tensors()
        return tensors["head.project.weight"], tensors["head.project.bias"]

    def _tensors(self) -> Mapping[str, NDArray[Any]]:
        if isinstance(self.model, NativeClassifier):
            return self.model.tensors
        return {name: tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()}

    def _adapted(self, adaptation: Adaptation) -> Recognizer:
        tensors, old = adaptation.folded(self._tensors()), self.model
        model: NativeClassifier | PatchTSTClassifier
        if isinstance(old, NativeClassifier):
            model = NativeClassifier(old.config, old.num_classes, tensors, old.precision)
        else:
            from patchtst_har.models.folder import build_module

            model = build_module(old.config, old.num_classes, tensors).to(old.rope_cos.device)
        return self.replace(model=model, adaptation=adaptation)

    def predict_recording(
        self,
        recording: pd.DataFrame,
        on_progress: OnProgress | None = None,
        *,
        idle_ns: ArrayLike | None = None,
    ) -> pd.DataFrame:
        """Label a whole recording: cut, classify, smooth (offline, within each segment without a gap).

        Parameters
        ----------
        recording : DataFrame
            DatetimeIndex and columns x, y, z in g (`data.read_recording`), at any rate. An annotation in it
            has no influence.
        on_progress : callable, optional
            Called with (windows done, windows in all, what).
        idle_ns : array_like of int64, shape (k, 2), optional
            Spans in which the device slept and wrote nothing, as its file lists them
            (``info["reading"]["idle_sleep"]`` of `read_recording`).

        Returns
        -------
        DataFrame
            ``start``, ``end``, ``label``, ``probability`` (see `LabelledRecording`).

        Raises
        ------
        DataError
            If the recording is malformed or has no segment as long as a window, or if it cannot be calibrated
            and ``data.calibration`` is ``require``.
        """
        return self.label_recording(recording, on_progress, idle_ns=idle_ns).timeline

    def label_recording(
        self,
        recording: pd.DataFrame,
        on_progress: OnProgress | None = None,
        *,
        idle_ns: ArrayLike | None = None,
    ) -> LabelledRecording:
        """Do what `predict_recording` does; keep all probabilities, what could not be used, and doubts.

        Parameters and errors are those of `predict_recording`.

        Returns
        -------
        LabelledRecording
            The timeline, the table of windows, and what was done to the signal.

        Warns
        -----
        patchtst_har.inference.familiarity.UnfamiliarWarning
            If the recording is far from what the model was trained on: in its sampling rate, or in the
            embeddings of many windows.
        patchtst_har.data.units.SignalWarning
            If it could not be calibrated as ``data.calibration`` says.
        """
        from patchtst_har.inference.labelling import label_recording

        return label_recording(self, recording, on_progress, idle_ns=idle_ns)

    def window_classifier(self) -> SingleWindowClassifier:
        """Return what classifies single windows with the bits of `probabilities`, as streams use it."""
        return SingleWindowClassifier(self)

    def stream(
        self,
        hop_s: float | None = None,
        smoothing: str | None = None,
        *,
        max_pending: int = 2,
        drop: DropPolicy = "oldest",
    ) -> Stream:
        """Begin to recognise a live stream of samples.

        Parameters
        ----------
        hop_s : float, optional
            Seconds between decisions, a whole number of samples and at most a window; None takes the hop with
            which the model was trained. At another hop, the smoother's changes of activity are less or more
            probable by hop / model hop. At a shorter one, the likelihoods of windows are also raised to that
            power, because windows that overlap more repeat their evidence.
        smoothing : str, optional
            ``filter``: causal, from the windows so far; ``lag:K``: each window waits for K later ones;
            ``none``: the classifier alone. None takes the filter if the model has a smoother.
        max_pending : int, default 2
            Windows that may wait between `Stream.feed` and `Stream.decide`. `Stream.push` leaves none.
        drop : {"oldest", "newest", "error"}
            Which window is dropped, and counted, when more would wait; ``error`` drops the newest and
            raises `BacklogError`.

        Returns
        -------
        Stream
            At the model's own hop, the same windows and posteriors as offline, bit for bit: those of
            `data.cut_windows` and of `HMMSmoother.filter_proba` or `fixed_lag_proba`.

        Raises
        ------
        DataError
            If a setting is out of its range, or smoothing is asked for and the model has no smoother.

        Warns
        -----
        patchtst_har.data.units.SignalWarning
            If the model was trained on calibrated recordings: streams are not calibrated.
        """
        if self.config.data.calibration != "off":
            warnings.warn(
                "the model was trained on recordings that were calibrated, and a stream is not: its labels "
                "are doubtful where the sensor is off",
                SignalWarning,
                stacklevel=2,
            )
        return Stream(self, hop_s, smoothing, max_pending=max_pending, drop=drop)


def _load_smoother(folder: Path, n_classes: int, config: ExperimentConfig) -> HMMSmoother:
    path = folder / SMOOTHING_FILE
    smoother = HMMSmoother.load(path)
    if smoother.n_classes != n_classes:
        raise ModelFolderError(f"{path}: n_classes is {smoother.n_classes}, the model has {n_classes}")
    if smoother.hop_s != hop_s(config):
        raise ModelFolderError(f"{path}: hop_s is {smoother.hop_s}, the model has {hop_s(config)}")
    return smoother


def _build(
    stored: StoredModel, folder: Path | str, engine: Engine, precision: Precision
) -> NativeClassifier | PatchTSTClassifier:
    with memory_errors_named(folder):
        if engine == "native":
            return NativeClassifier.from_stored(stored, precision)
        from patchtst_har.models.folder import build_module

        return build_module(stored.config.model, len(stored.classes), stored.tensors)
