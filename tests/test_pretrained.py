"""Shipped models: found by name, never written to, small; the rule for a name that is also a folder."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from kept_errors import is_freed
from patchtst_har import Recognizer, pretrained
from patchtst_har.errors import DataError, ModelFolderError
from patchtst_har.evaluation.folder import _doubts
from patchtst_har.inference import NativeClassifier
from patchtst_har.inference.pretrained_card import pretrained_card
from patchtst_har.model_folder import read_model_folder, read_provenance, read_trained_on
from patchtst_har.pretrained import (
    default_model,
    find_model,
    headline,
    pretrained_folders,
    read_summary,
    refuse_encoder,
    score_text,
)
from shipped import JUDGED, WATCH, a_model, an_encoder, ship
from streams import small_recognizer

MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    for record in (a_model(), an_encoder()):
        ship(root, record)
    return root


@pytest.fixture
def weights(made, monkeypatch):
    """Two models in place of those of the package: wrist and wrist-base."""
    monkeypatch.setattr(pretrained, "WEIGHTS", made)
    return made


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_models_are_found_by_name(weights, here):
    assert pretrained_folders() == {name: weights / name for name in ("wrist", "wrist-base")}
    assert find_model("wrist") == default_model() == weights / "wrist"
    assert Recognizer.from_pretrained("wrist").classes == ("running", "sitting", "walking")


def test_every_reader_of_model_folders_takes_a_name(weights, here):
    from patchtst_har.models.folder import load_model

    tensors = read_model_folder(weights / "wrist-base").tensors
    native, (module, _, _) = NativeClassifier.from_pretrained("wrist-base"), load_model("wrist-base")
    for name, values in tensors.items():
        np.testing.assert_array_equal(native.tensors[name], values)
        np.testing.assert_array_equal(module.state_dict()[name], values)


def test_a_folder_is_what_has_a_separator_or_is_a_path(weights, here):
    """The name of a shipped model wins over a folder of that name, and says so if that is a model."""
    (here / "wrist").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_model("wrist") == weights / "wrist"
    (here / "wrist" / "config.json").touch()
    with pytest.warns(UserWarning, match=r"the shipped model is used, .*\./wrist is the folder"):
        assert find_model("wrist") == weights / "wrist"
    (here / "mine").mkdir()
    for folder in ("./wrist", "wrist/", str(here / "wrist"), "mine", "there/is/none"):
        assert find_model(folder) == Path(folder)
    assert find_model(Path("wrist")) == Path("wrist")


def test_an_unknown_name_lists_the_known_ones_and_names_folders_too(weights, here, monkeypatch):
    for unknown in ("wirst", "Wrist", "wrist-base2", ""):
        with pytest.raises(
            ModelFolderError, match=f"^{unknown or repr(unknown)}: no such model folder, and no shipped model"
        ):
            find_model(unknown)
    with pytest.raises(ModelFolderError, match=r"\(wrist, wrist-base\)$"):
        Recognizer.from_pretrained("wirst")
    (here / "file").touch()
    with pytest.raises(ModelFolderError, match="file: no such model folder"):
        Recognizer.from_pretrained("file")
    monkeypatch.setattr(pretrained, "WEIGHTS", here / "none")
    assert pretrained_folders() == {}
    for find in (default_model, lambda: find_model("wrist")):
        with pytest.raises(ModelFolderError, match="it ships none"):
            find()


def test_an_encoder_gives_no_labels_wherever_it_lies(weights, here):
    for encoder in ("wrist-base", shutil.copytree(weights / "wrist-base", here / "mine")):
        with pytest.raises(ModelFolderError, match=r"^wrist-base: is for fine-tuning .* do: wrist$"):
            Recognizer.from_pretrained(encoder)
    refuse_encoder(weights / "wrist")
    refuse_encoder(here)
    # Of those named instead, none is an encoder either.
    untrained = {"split": {"train": [], "val": [], "test": []}, "untrained": ["head.project"]}
    small_recognizer().save_pretrained(here / "mine2")
    (here / "mine2" / "provenance.json").write_text(json.dumps(untrained))
    with pytest.raises(ModelFolderError, match=r"mine2: is for fine-tuning .* do: wrist$"):
        refuse_encoder(here / "mine2")


@pytest.mark.parametrize("method", ["hmm", "filter", "lag:2"])
def test_a_model_without_smoother_says_so(weights, here, method):
    folder = Path(shutil.copytree(weights / "wrist", here / "mine"))
    config = json.loads((folder / "config.json").read_text())
    config["smoothing"]["method"] = "none"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "smoothing.json").unlink(missing_ok=True)
    with pytest.raises(ModelFolderError, match=r"^wrist: the model has no smoother; --smoothing none"):
        Recognizer.from_pretrained(folder, smoothing=method)
    assert Recognizer.from_pretrained(folder).smoothing == "none"


def test_scores_on_the_training_people_of_a_shipped_model_are_doubted(weights, here):
    folder = Path(shutil.copytree(weights / "wrist", here / "mine"))
    values = json.loads((folder / "provenance.json").read_text())
    values["split"]["train"] = ["made-P026", "made-P027"]
    (folder / "provenance.json").write_text(json.dumps(values))
    (doubt,) = _doubts(folder, ["P026", "P1"])
    assert doubt == "1 of 2 participants have names of people the model was trained on (P026)"
    assert _doubts(folder, ["P1"]) == ()
    (folder / "provenance.json").unlink()
    (doubt,) = _doubts(folder, ["P1"])
    assert doubt.endswith(
        "provenance.json is missing: whether the model was trained on these participants is unknown"
    )


def test_a_damaged_summary_names_file_and_field(weights, here):
    folder = Path(shutil.copytree(weights / "wrist", here / "mine"))
    values = json.loads((folder / "summary.json").read_text())
    for key, value, message in (
        ("n_people", 4, "n_people: is 4, the data sets have 3"),
        ("cross_validated", None, "needs cross_validated and known_failures"),
        ("classes", ["sitting"], "data: made: class_map: running, walking is no class of the model"),
        ("description", "two\nlines", "needs one line"),
    ):
        (folder / "summary.json").write_text(json.dumps({**values, key: value}))
        with pytest.raises(DataError, match=rf"summary\.json: .*{message}"):
            Recognizer.from_pretrained(folder)
        assert is_freed(lambda: read_summary(folder), DataError)
    with pytest.raises(ValueError, match="needs at least one"):
        WATCH.model_validate({**WATCH.to_json(), "citations": []})
    with pytest.raises(ValueError, match="needs an estimate"):
        JUDGED.model_validate({**JUDGED.to_json(), "macro_f1": {"estimate": None, "low": None, "high": None}})


def test_the_score_in_words():
    assert headline(a_model()) == "cross-validated macro F1 0.81 (0.75 to 0.88) on 3 people"
    lone = JUDGED.model_copy(
        update={"n_people": 1, "macro_f1": JUDGED.macro_f1.model_copy(update={"low": None})}
    )
    assert headline(a_model(cross_validated=lone)) == "cross-validated macro F1 0.81 on 1 person"
    assert headline(an_encoder()) == "none: it gives no labels"


@pytest.mark.spawns
def test_a_shipped_model_needs_neither_torch_nor_pandas(weights):
    code = (
        f"import sys, pathlib, patchtst_har.pretrained as p; p.WEIGHTS = pathlib.Path({str(weights)!r})\n"
        "from patchtst_har import Recognizer; Recognizer.from_pretrained('wrist').stream()\n"
        "print(*({'torch', 'pandas'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_nothing_writes_into_the_folder_of_weights(weights, here):
    """Read from a folder that cannot be written, as a package that an administrator installed."""
    before = {path: path.stat().st_mtime_ns for path in weights.rglob("*")}
    recognizer = Recognizer.from_pretrained("wrist")
    recognizer.predict(np.zeros((1, recognizer.config.data.window_size, 3), np.float32))
    recognizer.in_zone("Europe/Berlin").save_pretrained(here / "copy")
    for name in ("provenance.json", "summary.json", "MODEL_CARD.md"):
        assert (here / "copy" / name).read_bytes() == (weights / "wrist" / name).read_bytes()
    # The card is of these weights, not of others.
    other = recognizer.replace(model=small_recognizer().model).save_pretrained(here / "other")
    assert not {"provenance.json", "summary.json", "MODEL_CARD.md"} & {path.name for path in other.iterdir()}
    assert {path: path.stat().st_mtime_ns for path in weights.rglob("*")} == before


# The models that the package ships.


def test_the_shipped_models_are_small():
    files = [path for path in pretrained.WEIGHTS.glob("*/**/*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    expected = {
        "config.json",
        "model.safetensors",
        "classes.json",
        "provenance.json",
        "summary.json",
        "MODEL_CARD.md",
    }
    for folder in pretrained_folders().values():
        names = {path.name for path in folder.iterdir()}
        assert expected <= names <= expected | {"smoothing.json", "familiarity.safetensors"}, folder
    assert {path.parent.name for path in files} == {*pretrained_folders()}


def test_the_shipped_models_are_what_their_cards_say():
    for name, folder in pretrained_folders().items():
        check_card(name, folder)


def check_card(name, folder):
    stored, summary = read_model_folder(folder), read_summary(folder)
    assert (summary.name, summary.classes) == (name, stored.classes)
    assert read_trained_on(folder).n_people == summary.n_people
    assert (folder / "MODEL_CARD.md").read_text(encoding="utf-8") == pretrained_card(summary, stored)
    n_parameters = sum(values.size for values in stored.tensors.values())
    assert summary.n_parameters <= n_parameters
    assert summary.purpose == ("fine-tuning" if name == "wrist-base" else "labels")
    if summary.purpose == "labels":
        assert Recognizer.from_pretrained(name).classes == summary.classes
        assert read_provenance(folder)["temperature"]["temperature"] == summary.calibration.temperature
        assert all(one.p50_ms <= one.p95_ms for one in summary.latency)
        assert summary.latency


def test_the_page_on_models_has_their_scores():
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    for name, folder in pretrained_folders().items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        judged = read_summary(folder).cross_validated
        if judged is not None:
            assert row.endswith(f"| {score_text(read_summary(folder))}, {judged.n_people} people |")


def test_the_page_on_models_has_what_worn_otherwise_costs():
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    costs = {
        name: {
            one.change: f"{one.difference:+.3f}".replace("0.", ".") for one in read_summary(folder).robustness
        }
        for name, folder in pretrained_folders().items()
    }
    wrist, nine = costs["wrist"], costs["wrist-9"]
    turned, mirrored = "sensor reversed (x and y change sign)", "the other wrist (mirrored)"
    assert f"`wrist` by {wrist[turned]} and that of `wrist-9` by {nine[turned]}" in page
    assert f"by {wrist[mirrored]} and {nine[mirrored]}." in page
    assert f"loses {nine['25 Hz'].lstrip('-')} of macro F1 at 25 Hz" in page


def test_the_readme_has_the_score_of_the_default():
    page = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    summary = read_summary(default_model())
    said = f"macro F1 {score_text(summary)} window by window, cross-validated on {summary.n_people} people"
    assert said in page


def test_three_models_are_shipped():
    assert list(pretrained_folders()) == ["wrist", "wrist-9", "wrist-base"]
    six = ("lying", "sitting", "standing", "walking", "stairs", "running")
    assert read_summary(default_model()).classes == six
    assert len(read_summary(find_model("wrist-9")).classes) == 9
