"""What the cards of the shipped models say of the data that trained them, and of where the models fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

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


OTHER_ACTIVITIES = KnownFailure(
    when="Activities that the training people did not do: cycling, housework, sleep",
    what="They get one of the classes, too. Windows far from those of the training are counted as "
    "unfamiliar, but not all such activities are that far",
)
NOT_WORN = KnownFailure(
    when="The sensor is not worn",
    what="At rest it is like a wrist at rest: it gets a posture, such as sitting, and is not counted as "
    "unfamiliar",
)


def worn_otherwise(robustness: Mapping[str, float]) -> KnownFailure:
    """Return what a sensor does that is worn unlike those of the data, as far as that was measured."""
    sizes = [
        f"by {value:+.3f} on recordings of {words}"
        for name, words in (("reversed", "a reversed sensor"), ("other wrist", "the other wrist"))
        for change, value in robustness.items()
        if name in change
    ]
    size = f": macro F1 changes {' and '.join(sizes)}" if sizes else ""
    return KnownFailure(
        when="The sensor is worn the other way round, or on the other wrist",
        what=f"Postures are confused{size}. Wear it as in the data, or adapt the model to the person",
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
    everybody = np.ones(len(windows), np.bool_)
    raised = np.isin(windows.participants, _RAISED)
    failures = [
        KnownFailure(
            when="Lying with the arm at the side",
            what=f"Gravity is as in sitting: {_confused(windows, 'lying', everybody)}",
        ),
        KnownFailure(
            when="Standing with the forearm raised, as with a phone in the hand",
            what=f"Of the people who stood so, {_confused(windows, 'standing', raised)}",
        ),
        worn_otherwise(robustness),
        OTHER_ACTIVITIES,
        NOT_WORN,
    ]
    if "walk_mod" in windows.classes:
        failures.append(
            KnownFailure(
                when="Walking at a moderate pace",
                what="Each person chose the paces, so they overlap between people: "
                + _confused(windows, "walk_mod", everybody),
            )
        )
    return tuple(failures)


def _confused(windows: OutOfFold, true: str, among: NDArray[np.bool_]) -> str:
    """Return in words how many windows of a class were right, and what most others were called."""
    label = windows.classes.index(true)
    decided = windows.probabilities[among & (windows.labels == label)].argmax(axis=1)
    counts = np.bincount(decided, minlength=len(windows.classes))
    right = int(counts[label])
    counts[label] = 0
    most = int(counts.argmax())
    return (
        f"{right} of {len(decided)} windows of {true} were right, {counts[most]} were called "
        f"{windows.classes[most]}"
    )
