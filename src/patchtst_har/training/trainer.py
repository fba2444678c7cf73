"""From a configuration to a trained, smoothed, evaluated and saved model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from patchtst_har.config import ExperimentConfig
from patchtst_har.datasets.featureset import FeatureSet
from patchtst_har.errors import DataError
from patchtst_har.evaluation.held_out import HeldOut
from patchtst_har.evaluation.metrics import SUMMARY
from patchtst_har.inference.familiarity import Familiarity, held_out_unit
from patchtst_har.inference.model_card import write_model_card
from patchtst_har.inference.probabilities import predict_probabilities, predict_torch
from patchtst_har.model_folder import FAMILIARITY_FILE, PROVENANCE_FILE, SMOOTHING_FILE
from patchtst_har.models.batches import to_tensors
from patchtst_har.models.folder import save_model
from patchtst_har.models.patchtst import PatchTSTClassifier
from patchtst_har.records.run import Calibration, Evaluation, HeldOutScores, Provenance, SmoothingChoice
from patchtst_har.reproducibility import environment, seed_everything, threads
from patchtst_har.smoothing import HMMSmoother
from patchtst_har.smoothing.decide import hop_s, sequences_of
from patchtst_har.support.files import atomic_write_json
from patchtst_har.support.folders import folder_lock
from patchtst_har.support.log import log_to_file
from patchtst_har.support.progress import OnProgress
from patchtst_har.training.calibrate import calibrate
from patchtst_har.training.callbacks import Callback, Checkpointing, Record, Report
from patchtst_har.training.checkpoint import Progress, check_resumable
from patchtst_har.training.experiment import ExperimentData, validation_problems
from patchtst_har.training.identity import Identity, settings_of
from patchtst_har.training.loop import TrainingLoop
from patchtst_har.training.machine import Machine
from patchtst_har.training.mlflow_mirror import require_mlflow
from patchtst_har.training.processes import Processes
from patchtst_har.training.run_folder import remove_run, reopen_run
from patchtst_har.training.smoothing_choice import choose_smoothing
from patchtst_har.training.tracker import EpochRecord, ExperimentTracker

logger = logging.getLogger(__name__)

CHECKPOINT = Path("checkpoints") / "last.safetensors"


class PatchTSTTrainer:
    """Train a `PatchTSTClassifier` as a configuration says, and leave a run folder.

    Parameters
    ----------
    config : ExperimentConfig
        The experiment; the run is written to ``config.run_dir``.
    resume : bool
        Go on from the last checkpoint of an interrupted run of the same configuration; without one, begin.
    overwrite : bool
        Replace a run that is in the folder, once the data set is found usable. What else is there stays.
    on_progress : callable, optional
        Called with (done, total, what) while features are computed and after every epoch.
    callbacks : sequence of Callback
        Called during training (`training.callbacks`), before an epoch is recorded and saved.

    Attributes
    ----------
    held_out : HeldOut or None
        After `train`: the decisions on the test participants; None if there are none.
    data : ExperimentData or None
        After `train`: the feature sets.
    smoother : HMMSmoother or None
        After `train`: what smooths the model's decisions, if anything does.
    smoothing : SmoothingChoice or None
        After `train`: why; None with ``smoothing.method: none``.
    calibration : Calibration or None
        After `train`: the temperature of the logits; None if there is none.
    familiarity : Familiarity or None
        After `train`: where the embeddings of the training windows lie; None if nobody validates.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        resume: bool = False,
        overwrite: bool = False,
        on_progress: OnProgress | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.config = config
        self.callbacks = tuple(callbacks)
        self.resume = resume and not overwrite
        self.overwrite = overwrite
        self.on_progress = on_progress or (lambda done, total, what: None)
        self.held_out: HeldOut | None = None
        self.data: ExperimentData | None = None
        self.smoother: HMMSmoother | None = None
        self.smoothing: SmoothingChoice | None = None
        self.calibration: Calibration | None = None
        self.familiarity: Familiarity | None = None
        self._fitted: HMMSmoother | None = None

    @property
    def judged(self) -> FeatureSet:
        """The windows that the model was judged on: of test participants, else of validation participants.

        If there are neither, the model was not judged, and these are the training participants' (to measure
        on).
        """
        if self.data is None:
            raise RuntimeError("train() has not been called")
        return self.data.test or self.data.val or self.data.train

    def train(self) -> tuple[PatchTSTClassifier, dict[str, float]]:
        """Run the whole experiment.

        Returns
        -------
        model : PatchTSTClassifier
            With the weights of the best validation epoch (or what `training.keep` says), in evaluation mode.
        metrics : dict of str to float
            ``final_accuracy``, ``final_macro_f1`` and the other metrics of `evaluation.metrics.SUMMARY` that
            are defined (test participants, smoothed; validation participants if there are none to test on),
            the same with ``raw_`` before smoothing, ``best_epoch`` and ``best_val_macro_f1`` of the kept
            weights. What nobody tests or validates is left out.

        In a training in several processes (`training.processes`), all but the first return no metrics.

        Raises
        ------
        ConfigError, DataError
            If configuration or data cannot be used, or another process trains into the run folder; nothing is
            written then.
        """
        processes = Processes.current()
        if not processes.first:
            return self._follow(processes)
        with folder_lock(self.config.run_dir):
            require_mlflow(self.config.tracking)
            self._check_folder()
            machine = Machine.of(self.config.training, validation_problems(self.config))
            n_done = 0
            if self.resume and self._checkpoint.exists():
                # Before the features, which take long.
                check_resumable(self._checkpoint, Identity(settings_of(self.config)))
            data = self.data = ExperimentData.load(self.config, self.on_progress)
            if self.resume and self._checkpoint.exists():
                n_done = check_resumable(self._checkpoint, data.identity(self.config))
            elif self.resume:
                logger.warning("%s: no checkpoint yet, training begins at the start", self.config.run_dir)
                self.resume = False
            tracker = self._open_run(data, n_done)
            processes.agree(self.resume)
            with threads(self.config.training.n_threads):
                return self._run(data, machine, tracker)

    def _follow(self, processes: Processes) -> tuple[PatchTSTClassifier, dict[str, float]]:
        """Train with the first process, which judges and writes; it has put the features into the cache."""
        self.resume = processes.agree(self.resume)
        machine = Machine.of(self.config.training)
        data = self.data = ExperimentData.load(self.config)
        with threads(self.config.training.n_threads):
            model, _ = self._fit(data, machine, ())
        return model.cpu().eval(), {}

    def _run(
        self, data: ExperimentData, machine: Machine, tracker: ExperimentTracker
    ) -> tuple[PatchTSTClassifier, dict[str, float]]:
        with log_to_file(tracker.output_dir), tracker.mirrored(self.config, data.tags()):
            # An epoch is recorded, then saved, then reported: a kill in between loses no record; that of an
            # epoch which was not saved is dropped by `ExperimentTracker.forget_after`.
            model, progress = self._fit(data, machine, (Record(EpochRecord(tracker, logger)),))
            self._compare_with_validation(model, data)
            self._fit_smoother(model, data)
            metrics = self._evaluate(model, data, tracker)
            metrics["best_epoch"] = float(progress.best_epoch)
            if data.val is not None:
                metrics["best_val_macro_f1"] = progress.best["val_macro_f1"]
            self._save(model.cpu(), data, metrics, tracker)
        return model.eval(), metrics

    @property
    def _checkpoint(self) -> Path:
        return self.config.run_dir / CHECKPOINT

    def _check_folder(self) -> None:
        """Refuse to mix two runs in one folder."""
        run_dir = self.config.run_dir
        if not (self.resume or self.overwrite) and (run_dir / "metrics.jsonl").exists():
            raise DataError(
                f"{run_dir}: already holds a run; resume it (--resume), replace it (--overwrite), "
                "or choose another experiment_name"
            )

    def _open_run(self, data: ExperimentData, n_done: int) -> ExperimentTracker:
        if self.overwrite:
            remove_run(self.config.run_dir)
        reopen_run(self.config.run_dir)
        tracker = ExperimentTracker(self.config.experiment_name, self.config.run_dir)
        tracker.forget_after(n_done)
        self.config.save(tracker.output_dir / "config.yaml")
        atomic_write_json(tracker.output_dir / "environment.json", environment())
        (tracker.output_dir / "checkpoints").mkdir(exist_ok=True)
        settings = self.config.model_dump(mode="json", include={"seed", "model", "training", "smoothing"})
        tracker.log_params({**settings, **data.provenance().to_json()})
        return tracker

    def _fit(
        self, data: ExperimentData, machine: Machine, record: Sequence[Callback]
    ) -> tuple[PatchTSTClassifier, Progress]:
        saving = Checkpointing(self._checkpoint, data.identity(self.config), resume=self.resume)
        callbacks = (*self.callbacks, *record, saving, Report(self.on_progress))
        return fit_network(self.config, data, machine, callbacks)

    def _compare_with_validation(self, model: PatchTSTClassifier, data: ExperimentData) -> None:
        """Fit what says how sure and how familiar a window is, on people who did not train the model."""
        val, train = data.val, data.train
        if val is None:
            logger.warning(
                "nobody validates: the model is not calibrated and cannot recognise unfamiliar windows"
            )
            return
        if self.config.training.calibrate:
            self.calibration = calibrate(model, val, data.test)
        embeddings, held_out = (predict_torch(model, part)[1] for part in (train, val))
        fitted = Familiarity.fit(embeddings, train.labels, len(train.classes))
        self.familiarity = fitted.in_units_of(held_out_unit(fitted.distances(held_out)))

    def _fit_smoother(self, model: PatchTSTClassifier, data: ExperimentData) -> None:
        """Transitions come from training participants, emissions from participants not trained on."""
        config, val = self.config, data.val
        # The configuration refuses smoothing if nobody validates.
        if config.smoothing.method == "none" or val is None:
            return
        smoother = HMMSmoother(len(data.train.classes), config.smoothing.pseudo_count, hop_s=hop_s(config))
        sequences = sequences_of(data.train.participants, data.train.start_ns, config)
        smoother.fit_transitions(data.train.labels, sequences)
        probabilities = predict_probabilities(model, val)
        self.smoothing = choose_smoothing(smoother, val, probabilities, config)
        self._fitted = smoother.fit_emissions(val.labels, probabilities)
        self.smoother = None if self.smoothing.method == "none" else smoother

    def _provenance(self, data: ExperimentData) -> Provenance:
        return data.provenance().model_copy(update={"temperature": self.calibration})

    def judge(self, model: PatchTSTClassifier, features: FeatureSet) -> HeldOut:
        """Return the decisions of a trained `model` on labelled windows, the `features` of participants."""
        return HeldOut.judge(features, predict_probabilities(model, features), self.config, self.smoother)

    def _evaluate(
        self, model: PatchTSTClassifier, data: ExperimentData, tracker: ExperimentTracker
    ) -> dict[str, float]:
        if data.test is None and data.val is None:
            logger.warning("nobody tests or validates: there are no scores")
            return {}
        judged = self.judge(model, self.judged)
        scores = judged.scores()
        if data.test is not None:
            self.held_out = judged
            judged.write_frame(tracker.output_dir / "predictions.csv")
            facts = {**dict(scores), **dict(self._provenance(data))}
            evaluation = Evaluation(**facts, predictions_file="predictions.csv", smoothing=self.smoothing)
            atomic_write_json(tracker.output_dir / "evaluation.json", evaluation.to_json())
        else:
            logger.warning("no test participants: the scores are those of the validation participants")
        return _headline(scores)

    def _save(
        self,
        model: PatchTSTClassifier,
        data: ExperimentData,
        metrics: dict[str, float],
        tracker: ExperimentTracker,
    ) -> None:
        folder = tracker.output_dir / "model"
        # What `predict` does by default; the smoother is written next to it for --smoothing.
        method = "none" if self.smoother is None else "viterbi"
        config = self.config.replace(smoothing=self.config.smoothing.replace(method=method))
        save_model(folder, model, data.train.classes, config)
        if self._fitted is not None:
            self._fitted.save(folder / SMOOTHING_FILE)
        if self.familiarity is not None:
            self.familiarity.save(folder / FAMILIARITY_FILE)
        provenance = self._provenance(data)
        atomic_write_json(folder / PROVENANCE_FILE, provenance.to_json())
        write_model_card(folder, config, data.train.classes, provenance, metrics)
        tracker.log_artifact(folder, "trained model")
        for name in ("evaluation.json", "predictions.csv"):
            if (tracker.output_dir / name).exists():
                tracker.log_artifact(tracker.output_dir / name, "held-out participants")
        tracker.save_summary(metrics)


def fit_network(
    config: ExperimentConfig, data: ExperimentData, machine: Machine, callbacks: Sequence[Callback]
) -> tuple[PatchTSTClassifier, Progress]:
    """Return a network that was trained on the data of an experiment, and how its training ended."""
    seed_everything(config.seed)
    model = PatchTSTClassifier(config.model, len(data.train.classes))
    model.fit_scaling(data.train.windows, *to_tensors((data.training.stats, data.training.topo)))
    if data.initial is not None:
        data.initial.put_into(model)
    kept = () if data.initial is None else data.initial.kept
    loop = TrainingLoop(config.training, machine, config.seed, kept)
    progress = loop.fit(model, data.training, data.val, callbacks)
    if progress.stopped:
        logger.info("stopped after epoch %d: %s", progress.epoch, progress.stopped)
    if config.training.heads == "all":
        model.head.average_heads()
    return model, progress


def _headline(scores: HeldOutScores) -> dict[str, float]:
    return {
        f"{prefix}_{name}": part[name]
        for prefix, part in (("final", scores.smoothed), ("raw", scores.raw))
        for name in SUMMARY
        if part[name] is not None
    }
