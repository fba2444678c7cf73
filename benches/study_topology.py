"""What the topological features bring to recognition, and what they cost.

Run by name: `python benches/study_topology.py RECORDINGS`, where the folder holds annotated NPZ recordings
at 100 Hz (see `recorded_windows`). Prints tables in Markdown. People are held out whole.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold

from patchtst_har.config import (
    DataConfig,
    ExperimentConfig,
    ModelConfig,
    SmoothingConfig,
    TopologyConfig,
    TrainingConfig,
)
from patchtst_har.datasets.prepared_writer import PreparedWriter
from patchtst_har.evaluation.bootstrap import bootstrap_intervals
from patchtst_har.features import (
    TOPOLOGICAL_FEATURE_NAMES,
    compute_simplified_topological_features,
    compute_statistical_features_batch,
    compute_topological_features,
    compute_topological_features_batch,
)
from recorded_windows import labelled_windows, show, show_head

N_TREES = 300
MODEL_SEEDS = (0, 1)
GROUPS = {"H0": slice(0, 9), "H1": slice(9, 22), "radius, periodicity": slice(22, 24)}
SETTINGS = {
    "defaults": {},
    "max_points 64": {"max_points": 64},
    "max_points 100": {"max_points": 100},
    "max_points 200": {"max_points": 200},
    "max_points 490": {"max_points": 490},
    "delay 0.2 s": {"delay_s": 0.2},
    "max_points 200, delay 0.2 s": {"max_points": 200, "delay_s": 0.2},
    "dimension 2": {"dimension": 2},
}


@dataclass(frozen=True)
class Study:
    """Windows of labelled activities, the same in every comparison."""

    windows: np.ndarray
    labels: np.ndarray
    people: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Study:
        """Cut every stretch of one label into windows back to back."""
        people, activities, windows = zip(*labelled_windows(folder), strict=True)
        classes, labels = np.unique(activities, return_inverse=True)
        return cls(np.stack(windows), labels.astype(np.int64), np.array(people), tuple(classes.tolist()))

    def folds(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows to fit on and those to judge, five times."""
        yield from GroupKFold(5).split(self.windows, groups=self.people)

    def macro_f1(self, predicted: np.ndarray) -> float:
        """Return the pooled macro F1 of decisions on all windows."""
        return float(f1_score(self.labels, predicted, average="macro"))

    def forest(self, features: np.ndarray) -> np.ndarray:
        """Return the decisions of random forests, each on the people it was not fitted on."""
        predicted = np.empty_like(self.labels)
        for fitted, judged in self.folds():
            model = forest_of(features[fitted], self.labels[fitted])
            predicted[judged] = model.predict(features[judged])
        return predicted


def forest_of(features: np.ndarray, labels: np.ndarray) -> RandomForestClassifier:
    """Fit a random forest whose classes weigh the same."""
    model = RandomForestClassifier(N_TREES, class_weight="balanced", random_state=0, n_jobs=2)
    return model.fit(features, labels)


def cost_us(windows: np.ndarray, config: TopologyConfig) -> tuple[float, float]:
    """Return p50 and p95 of the processor time of one window, in microseconds."""
    spent = []
    for window in windows:
        start = time.thread_time()
        compute_topological_features(window, 100.0, config)
        spent.append(time.thread_time() - start)
    return float(np.percentile(spent, 50) * 1e6), float(np.percentile(spent, 95) * 1e6)


def compare_settings(study: Study, stats: np.ndarray) -> None:
    """Print what each setting of the topological features adds to the statistical ones."""
    statistical = study.forest(stats)

    def row(name: str, added: np.ndarray) -> None:
        made = study.forest(np.hstack([stats, added]))
        gain = bootstrap_intervals(study.labels, made, study.people, len(study.classes), other=statistical)[
            "macro_f1"
        ]
        show(
            name,
            f"{study.macro_f1(study.forest(added)):.3f}",
            f"{study.macro_f1(made):.3f}",
            f"{gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})",
        )

    print("\n### Random forest: settings\n")
    show_head("topological features", "alone", "with the 56", "gain")
    show("none", "", f"{study.macro_f1(statistical):.3f}", "")
    for name, changes in SETTINGS.items():
        config = TopologyConfig(**changes)
        topology = compute_topological_features_batch(study.windows, 100.0, config, n_threads=2)
        row(name, topology)
    topology = compute_topological_features_batch(study.windows)
    for name, columns in GROUPS.items():
        row(f"only {name}", topology[:, columns])
    row("simplified", compute_simplified_topological_features(study.windows))


def compare_costs(study: Study) -> None:
    """Print what a window costs in each setting, over all activities and in the most expensive one."""
    print("\n### Processor time of a window, µs, p50 / p95\n")
    show_head("setting", "all activities", "the slowest activity")
    for name, changes in SETTINGS.items():
        config = TopologyConfig(**changes)
        every = {
            activity: cost_us(study.windows[study.labels == label][::4], config)
            for label, activity in enumerate(study.classes)
        }
        slowest = max(every, key=lambda activity: every[activity][0])
        p50, p95 = cost_us(study.windows[::4], config)
        show(name, f"{p50:.0f} / {p95:.0f}", f"{slowest} {every[slowest][0]:.0f} / {every[slowest][1]:.0f}")


def permutation_importance(study: Study, stats: np.ndarray, repeats: int = 2) -> None:
    """Print how much macro F1 falls when columns are shuffled among the windows that are judged."""
    features = np.hstack([stats, compute_topological_features_batch(study.windows)])
    first = stats.shape[1]
    groups = {"all 56 statistical": np.arange(first), "all 24 topological": np.arange(first, first + 24)}
    groups |= {f"all of {name}": np.arange(first, first + 24)[part] for name, part in GROUPS.items()}
    groups |= {name: np.array([first + i]) for i, name in enumerate(TOPOLOGICAL_FEATURE_NAMES)}
    rng = np.random.default_rng(0)
    predicted = {name: np.empty((repeats, len(study.labels)), np.int64) for name in groups}
    whole = np.empty_like(study.labels)
    for fitted, judged in study.folds():
        model = forest_of(features[fitted], study.labels[fitted])
        whole[judged] = model.predict(features[judged])
        for name, columns in groups.items():
            for repeat in range(repeats):
                shuffled = features[judged].copy()
                shuffled[:, columns] = shuffled[rng.permutation(len(judged))][:, columns]
                predicted[name][repeat, judged] = model.predict(shuffled)
    print("\n### Random forest: permutation importance\n")
    show_head("shuffled", "macro F1 lost")
    for name, repeated in predicted.items():
        lost = study.macro_f1(whole) - np.mean([study.macro_f1(one) for one in repeated])
        show(name, f"{lost:+.4f}")


def write_prepared(study: Study, folder: Path) -> None:
    """Write the windows as a prepared data set; they are in no order of time."""
    writer = PreparedWriter(folder)
    for person in np.unique(study.people):
        mine = study.people == person
        stamps = np.arange(mine.sum(), dtype=np.int64) * 20 * 10**9
        labels = np.array(study.classes)[study.labels[mine]]
        writer.add(str(person), study.windows[mine], labels, stamps)
    writer.finish({})


def train_and_judge(folder: Path, n_topo_features: int, seed: int, epochs: int) -> tuple[np.ndarray, ...]:
    """Return labels, people and decisions of models, each on the people it was not trained on."""
    from patchtst_har.training import PatchTSTTrainer

    judged = []
    for fold in range(5):
        config = ExperimentConfig(
            experiment_name=f"topo_{n_topo_features}_{seed}_{fold}",
            output_dir=folder,
            seed=seed,
            data=DataConfig(proc_dir=folder / "prepared", split="kfold", fold=fold, val_n=4),
            model=ModelConfig(n_time_features=0, n_topo_features=n_topo_features),
            training=TrainingConfig(
                lr=1e-3, weight_decay=0.05, epochs=epochs, early_stop_patience=epochs, n_threads=1
            ),
            smoothing=SmoothingConfig(method="none"),
        )
        trainer = PatchTSTTrainer(config)
        trainer.train()
        judged.append(trainer.held_out)
    return (
        np.concatenate([part.labels for part in judged]),
        np.concatenate([part.participants for part in judged]),
        np.concatenate([part.decisions.raw for part in judged]),
    )


def compare_models(study: Study, epochs: int) -> None:
    """Print what the topological token brings to a short training of the model."""
    print(f"\n### Model, {epochs} epochs, not smoothed\n")
    show_head("seed", "without the topological token", "with it", "difference")
    with tempfile.TemporaryDirectory() as name:
        write_prepared(study, Path(name) / "prepared")
        for seed in MODEL_SEEDS:
            labels, people, with_token = train_and_judge(Path(name), 24, seed, epochs)
            _, _, without = train_and_judge(Path(name), 0, seed, epochs)
            gain = bootstrap_intervals(labels, with_token, people, len(study.classes), other=without)[
                "macro_f1"
            ]
            scores = (f"{f1_score(labels, made, average='macro'):.3f}" for made in (without, with_token))
            show(seed, *scores, f"{gain.estimate:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")


def main() -> None:
    """Run the study on a folder of recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--epochs", type=int, default=10, help="of the model")
    parser.add_argument("--part", choices=("settings", "cost", "importance", "model"), action="append")
    arguments = parser.parse_args()
    study = Study.read(arguments.recordings)
    stats = compute_statistical_features_batch(study.windows)
    print(f"{len(study.labels)} windows, {len(np.unique(study.people))} people, {len(study.classes)} classes")
    parts = arguments.part or ("settings", "cost", "importance", "model")
    if "settings" in parts:
        compare_settings(study, stats)
    if "cost" in parts:
        compare_costs(study)
    if "importance" in parts:
        permutation_importance(study, stats)
    if "model" in parts:
        compare_models(study, arguments.epochs)


if __name__ == "__main__":
    main()
