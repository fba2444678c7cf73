import json
import shutil

import pytest

from patchtst_har.benchmark.model_facts import artefact_facts, known_accuracy, model_fingerprint
from patchtst_har.config import N_STATISTICAL_FEATURES
from patchtst_har.errors import DataError
from patchtst_har.inference.recognizer import Recognizer
from patchtst_har.model_folder import write_model_folder
from patchtst_har.pretrained import headline
from patchtst_har.records.feasibility import Artefact
from shipped import a_model, ship
from streams import small_recognizer


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    small_recognizer().save_pretrained(folder)
    return folder


def test_the_fingerprint_is_that_of_what_decides(model, tmp_path):
    first = model_fingerprint(model)
    (model / "MODEL_CARD.md").write_text("words")
    assert model_fingerprint(model) == first
    copy = shutil.copytree(model, tmp_path / "copy")
    assert model_fingerprint(copy) == first


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "smoothing.json", "classes.json"])
def test_every_file_that_decides_changes_the_fingerprint(model, name):
    first = model_fingerprint(model)
    (model / name).write_bytes((model / name).read_bytes() + b"\n")
    assert model_fingerprint(model) != first


def test_bytes_do_not_move_unseen_from_one_file_to_the_next(model):
    first = model_fingerprint(model)
    smoothing, classes = model / "smoothing.json", model / "classes.json"
    content = smoothing.read_bytes() + classes.read_bytes()
    smoothing.write_bytes(content[:10])
    classes.write_bytes(content[10:])
    assert model_fingerprint(model) != first


def test_facts_of_a_model(model):
    recognizer = Recognizer.from_pretrained(model)
    facts = artefact_facts(model, recognizer, "filter")
    module = recognizer.torch_module()
    assert facts.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert facts.flops > facts.parameters
    assert facts.classes == ("running", "sitting", "walking")
    expected = {"statistical": N_STATISTICAL_FEATURES, "topological": 0, "time": 0, "plugins": []}
    assert facts.features == expected
    assert (facts.engine, facts.smoothing) == ("native", "filter")
    assert Artefact.model_validate(json.loads(facts.model_dump_json())) == facts


def test_a_shipped_model_has_the_score_and_the_name_of_its_card(tmp_path):
    folder = ship(tmp_path, a_model())
    facts = artefact_facts(folder, Recognizer.from_pretrained(folder), "filter")
    assert (facts.name, facts.score) == ("wrist", headline(a_model()))


@pytest.fixture
def finished(small_run, tmp_path):
    """A copy of a finished run, and its configuration."""
    run = shutil.copytree(small_run.folder, tmp_path / "run")
    return run, Recognizer.from_pretrained(run / "model").config


@pytest.mark.parametrize(("smoothing", "lag"), [("filter", 0), ("lag:2", 2), ("lag:4", None), ("none", None)])
def test_the_scores_of_the_run_are_told_apart(finished, smoothing, lag):
    run, config = finished
    known = known_accuracy(run / "model", config, smoothing)
    scored = json.loads((run / "evaluation.json").read_text())
    assert known.source == str(run / "evaluation.json")
    assert (known.people, known.n_people) == ("test", len(scored["split"]["test"]))
    assert known.raw.macro_f1 == scored["raw"]["macro_f1"]
    assert known.offline.macro_f1 == scored["smoothed"]["macro_f1"]
    assert known.offline.macro_f1_low == scored["bootstrap"]["smoothed"]["macro_f1"]["low"]
    rows = {row["lag"]: row["macro_f1"] for row in scored["causal"]}
    assert (known.stream and known.stream.macro_f1) == rows.get(lag)
    assert known.hop_s == 10.0


def test_scores_of_another_split_are_not_those_of_this_model(finished):
    run, config = finished
    path = run / "evaluation.json"
    scored = json.loads(path.read_text())
    scored["split"]["fingerprint"] = "another"
    path.write_text(json.dumps(scored))
    assert known_accuracy(run / "model", config, "filter") is None


@pytest.mark.parametrize("name", ["evaluation.json", "model/provenance.json"])
def test_without_the_files_the_accuracy_is_not_known(finished, name):
    run, config = finished
    (run / name).unlink()
    assert known_accuracy(run / "model", config, "filter") is None


def test_a_damaged_evaluation_is_named(finished):
    run, config = finished
    (run / "evaluation.json").write_text("{}")
    with pytest.raises(DataError, match=r"evaluation\.json: classes"):
        known_accuracy(run / "model", config, "filter")


def test_a_model_without_a_smoother_has_a_fingerprint(tmp_path):
    recognizer = small_recognizer()
    folder = write_model_folder(
        tmp_path / "bare", recognizer.model.tensors, recognizer.classes, recognizer.config
    )
    assert len(model_fingerprint(folder)) == 64
