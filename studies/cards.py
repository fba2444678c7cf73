"""What the cards of the shipped models say of the data that trained them, and of where the models fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from patchtst_har.records.pretrained import KnownFailure, TrainingData
from studies.out_of_fold import OutOfFold
from studies.sets import ACTIVITIES, SETS, source_of

_RECORDED = {
    "selfback": "Axivity AX3, 100 Hz, 8 g, on the wrist",
    "wisdm": "LG G Watch, 20 Hz, 2 g, on the dominant wrist",
}
_NAMES = {"selfback": "selfBACK", "wisdm": "WISDM"}
_CITATIONS = {
    "selfback": (
        "Sani, Massie, Wiratunga, Cooper: Learning deep and shallow features for human activity "
        "recognition, KSEM 2017",
        "Sani, Wiratunga, Massie, Cooper: kNN sampling for personalised human activity recognition, "
        "ICCBR 2017",
    ),
    "wisdm": (
        "Weiss, Yoneda, Hayajneh: Smartphone and smartwatch-based biometrics using activities of daily "
        "living, IEEE Access 7 (2019) 133190",
    ),
}
_FILES = {
    "selfback": "https://github.com/rgu-selfback/Datasets, commit 3ab9d726, raw/9_class/wrist50 "
    "(UCI data set 521, DOI 10.24432/C5SK65)",
    "wisdm": "https://github.com/Chrissi2802/WISDM---Biometric-time-series-data-classification, commit "
    "09ef9890, Datasets/train (UCI data set 507)",
}
_LICENCE_SOURCE = "UCI's catalogue; the repository that holds the files states none"

WEIGHTS_LICENCE = (
    "Apache-2.0, as the package; the recordings are CC BY 4.0 by UCI's catalogue and ask that their articles "
    "be cited."
)

_RAISED = ("selfback-P027", "selfback-P053", "selfback-P054", "selfback-P059")
"""Stand with the forearm raised."""


def training_data(name: str, people: Sequence[str]) -> tuple[TrainingData, ...]:
    """Return the data sets that trained a model: of a set of `SETS`, and those of its people who did."""
    mapped = SETS[name].classes_by_annotation
    return tuple(
        TrainingData(
            name=_NAMES[source],
            n_people=sum(source_of(person) == source for person in people),
            recorded_with=_RECORDED[source],
            class_map={
                activity: activity if mapped is None else mapped[activity] or None
                for activity in ACTIVITIES[source]
            },
            citations=_CITATIONS[source],
            source=_FILES[source],
            licence="CC BY 4.0",
            licence_source=_LICENCE_SOURCE,
        )
        for source in SETS[name].sources
    )


def known_failures(windows: OutOfFold, robustness: Mapping[str, float]) -> tuple[KnownFailure, ...]:
    """Return where a model fails, with the sizes that held-out people showed.

    Parameters
    ----------
    windows : OutOfFold
        Of all folds.
    robustness : mapping of str to float
        Change of macro F1 by a change of the recording (`studies.robustness`); may be empty.
    """
    lying, n_lying = _share(windows, "lying", "sitting", windows.participants != "")
    raised = np.isin(windows.participants, _RAISED)
    standing, n_standing = _share(windows, "standing", "standing", raised)
    reversed_by = next((value for name, value in robustness.items() if "reversed" in name), None)
    size = "" if reversed_by is None else f": macro F1 changes by {reversed_by:+.3f}"
    failures = [
        KnownFailure(
            when="Lying with the arm at the side",
            what="Gravity is as in sitting, so sitting is said: "
            f"{lying} of {n_lying} windows of lying, of people who did not train the model",
        ),
        KnownFailure(
            when="Standing with the forearm raised, as with a phone in the hand",
            what="Sitting is said; of the four people who stood so, "
            f"{standing} of {n_standing} windows of standing were right",
        ),
        KnownFailure(
            when="The sensor is worn the other way round, or on the other wrist",
            what=f"Postures are confused{size}. Wear it as in the data, or adapt the model to the person",
        ),
        KnownFailure(
            when="Activities that the training people did not do: cycling, housework, sleep, not wearing it",
            what="They get one of the classes, too; windows far from those of the training are counted as "
            "unfamiliar",
        ),
    ]
    if "walk_slow" in windows.classes:
        moderate, n_moderate = _share(windows, "walk_mod", "walk_mod", windows.participants != "")
        failures.append(
            KnownFailure(
                when="Walking at a moderate pace",
                what="The paces were chosen by each person, so they overlap between people: "
                f"{n_moderate - moderate} of {n_moderate} windows were called otherwise, mostly slow or fast",
            )
        )
    return tuple(failures)


def _share(windows: OutOfFold, true: str, decided: str, among: np.ndarray) -> tuple[int, int]:
    """Return how many windows of a class were given a class, and how many there are."""
    own = among & (windows.labels == windows.classes.index(true))
    chosen = windows.probabilities[own].argmax(axis=1) == windows.classes.index(decided)
    return int(chosen.sum()), int(own.sum())
