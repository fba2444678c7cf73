"""From a trained model's folder to a file, and what stops it."""

import hashlib
import importlib.util
import json
import os

import numpy as np
import onnx
import pytest

from architectures import randomise
from patchtst_har import Recognizer
from patchtst_har.config import DataConfig
from patchtst_har.data import cut_windows, read_recording
from patchtst_har.errors import DataError, ExportError, MissingDependencyError, ModelFolderError
from patchtst_har.features import STATISTICAL_FEATURE_NAMES, TOPOLOGICAL_FEATURE_NAMES
from patchtst_har.inference.export import export_model, onnx_file, pt2_file
from patchtst_har.inference.inputs import cut_patches


@pytest.fixture(scope="module")
def folder(small_run):
    return small_run.folder / "model"


@pytest.fixture(scope="module")
def exported(small_run, folder, tmp_path_factory):
    """A file that was checked on held-out participants."""
    test = small_run.trainer.data.test
    path = tmp_path_factory.mktemp("export") / "new folder" / "model.onnx"
    made = export_model(folder, path, windows=test.windows[:], start_ns=test.start_ns)
    assert (made.path, made.n_windows) == (path, len(test.windows))
    assert 0 <= made.largest_difference < 1e-5
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]
    return path


def labels_of(path, folder, windows, start_ns):
    """Return the classes by the file, and by the compiled engine."""
    recognizer = Recognizer.from_pretrained(folder)
    inputs, config = recognizer.inputs(windows, start_ns), recognizer.config.model
    patches = cut_patches(windows, config.patch_len, config.patch_hop)
    arrays = {"patches": patches, "times": inputs.times, "stats": inputs.stats, "topo": inputs.topo}
    classes = json.loads(onnx.load(path).metadata_props[0].value)["classes"]
    logits = onnx_file.load(path)(arrays)["logits"]
    return np.array(classes)[logits.argmax(axis=1)], recognizer.predict(windows, start_ns).labels


@pytest.mark.compiles
def test_the_file_labels_windows_of_new_people_as_the_engine_does(small_run, folder, exported):
    test = small_run.trainer.data.test
    got, expected = labels_of(exported, folder, test.windows[:], test.start_ns)
    np.testing.assert_array_equal(got, expected)
    assert len(set(expected)) == 3


@pytest.mark.compiles
def test_the_file_labels_windows_of_a_watch_as_the_engine_does(folder, exported, tmp_path):
    pytest.importorskip("seglearn")
    from patchtst_har.data import write_watch_recordings

    path = write_watch_recordings(tmp_path)[0]
    cut = cut_windows(read_recording(path)[0], DataConfig(hop_size=250))
    assert len(cut.windows) > 100
    got, expected = labels_of(exported, folder, cut.windows, cut.start_ns)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.compiles
def test_the_file_describes_how_to_feed_it(folder, exported):
    (entry,) = onnx.load(exported).metadata_props
    described = json.loads(entry.value)
    weights = (folder / "model.safetensors").read_bytes()
    assert described["model_sha256"] == hashlib.sha256(weights).hexdigest()
    assert described["classes"] == json.loads((folder / "classes.json").read_text())
    assert (described["sample_rate_hz"], described["window_size"]) == (100.0, 1000)
    assert described["inputs"]["patches"]["shape"] == ["batch", 3, 10, 100]
    assert described["inputs"]["stats"]["names"] == list(STATISTICAL_FEATURE_NAMES)
    assert described["inputs"]["topo"]["names"] == list(TOPOLOGICAL_FEATURE_NAMES)
    assert described["inputs"]["topo"]["config"]["max_points"] == 128
    assert len(described["inputs"]["times"]["names"]) == 5
    assert str(folder.parent) not in entry.value


@pytest.mark.compiles
def test_a_file_that_computes_something_else_is_not_left(folder, tmp_path, monkeypatch):
    write = pt2_file.write
    monkeypatch.setattr(pt2_file, "write", lambda model, *rest, **more: write(altered(model), *rest, **more))
    path = tmp_path / "model.pt2"
    with pytest.raises(ExportError, match=r"model\.pt2: differs from the torch module: logits by"):
        export_model(folder, path, "torch-export")
    assert list(tmp_path.iterdir()) == []
    path.write_text("an earlier file")
    with pytest.raises(ExportError):
        export_model(folder, path, "torch-export", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt2"]
    assert path.read_text() == "an earlier file"


def altered(model):
    """Return the same architecture with other weights."""
    return randomise(type(model)(model.config, model.num_classes)).eval()


def test_a_file_that_is_there_is_kept(folder, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("keep me")
    with pytest.raises(DataError, match="path must be UTF-8"):
        export_model(folder, tmp_path / os.fsdecode(b"\xe9.onnx"))
    with pytest.raises(DataError, match=r"model\.onnx: exists already; .* --overwrite"):
        export_model(folder, path)
    assert path.read_text() == "keep me"
    with pytest.raises(DataError, match="is a folder"):
        export_model(folder, tmp_path, overwrite=True)


def test_the_ending_of_another_format_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"model\.pt2: .* of format torch-export, the format is onnx"):
        export_model(folder, tmp_path / "model.pt2")


def test_an_unknown_format_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="one of onnx, torch-export, executorch, not 'coreml'"):
        export_model(folder, tmp_path / "model", "coreml")


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(ModelFolderError, match="nowhere: no such model folder"):
        export_model(tmp_path / "nowhere", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_no_windows_are_no_check(small_run, folder, tmp_path):
    test = small_run.trainer.data.test
    with pytest.raises(DataError, match="at least one"):
        export_model(folder, tmp_path / "a.onnx", windows=test.windows[:0], start_ns=test.start_ns[:0])
    with pytest.raises(DataError, match="start_ns"):
        export_model(folder, tmp_path / "a.onnx", windows=test.windows[:3])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("onnx", "onnx", "export"),
        ("onnx", "onnxscript", "export"),
        ("onnx", "onnxruntime", "export"),
        ("executorch", "executorch", "executorch"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(folder, tmp_path, monkeypatch, name, package, extra):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda wanted, *rest: None if wanted == package else find(wanted, *rest)
    )
    with pytest.raises(MissingDependencyError, match=rf"needs {package}: .*patchtst-har\[{extra}\]"):
        export_model(folder, tmp_path / "model", name)
    assert list(tmp_path.iterdir()) == []
