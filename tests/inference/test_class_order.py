"""A model whose classes are in another order computes the same."""

import json

import numpy as np
import pytest

from patchtst_har import Recognizer
from patchtst_har.errors import ModelFolderError
from patchtst_har.inference.class_order import order_classes
from patchtst_har.models.folder import load_model
from streams import CLASSES, make_samples, recording_of, small_recognizer, with_familiarity

ORDER = ("sitting", "walking", "running")
PLACES = [CLASSES.index(name) for name in ORDER]


@pytest.fixture
def folder(tmp_path):
    recognizer = with_familiarity(small_recognizer(features_as="branch", auxiliary_heads=True))
    recognizer.smoother = None
    return recognizer.save_pretrained(tmp_path / "model")


def test_labels_probabilities_and_distances_stay(folder):
    recording = recording_of(*make_samples(60.0))
    before = Recognizer.from_pretrained(folder, smoothing="none").label_recording(recording)
    heads = {name: value for name, value in load_model(folder)[0].state_dict().items() if "head." in name}
    order_classes(folder, ORDER)
    after = Recognizer.from_pretrained(folder, smoothing="none")
    assert after.classes == ORDER
    labelled = after.label_recording(recording)
    assert list(labelled.windows["label"]) == list(before.windows["label"])
    for name in ORDER:
        np.testing.assert_allclose(
            labelled.windows[f"raw: {name}"], before.windows[f"raw: {name}"], atol=1e-6
        )
    assert (before.windows["raw: sitting"] > 1.5 * before.windows["raw: walking"]).any()
    np.testing.assert_allclose(labelled.windows["distance"], before.windows["distance"], rtol=1e-4)
    again = load_model(folder)[0].state_dict()
    moved = [name for name, value in heads.items() if len(value) == len(CLASSES)]
    assert {name.rpartition(".")[0] for name in moved} == {"head.project", "head.encoder", "head.branch"}
    for name in moved:
        np.testing.assert_array_equal(again[name], heads[name][PLACES])


def test_other_classes_and_smoothers_are_refused(folder):
    for classes in (
        ("sitting", "walking"),
        ("sitting", "walking", "swimming"),
        ("sitting", "sitting", "running"),
    ):
        with pytest.raises(ModelFolderError, match=r"has the classes running, sitting, walking$"):
            order_classes(folder, classes)
    (folder / "smoothing.json").touch()
    with pytest.raises(ModelFolderError, match=r"smoothing\.json: was fitted to classes in the order"):
        order_classes(folder, ORDER)
    assert json.loads((folder / "classes.json").read_text()) == list(CLASSES)
