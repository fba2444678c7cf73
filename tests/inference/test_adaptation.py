"""A person's labelled windows correct the last layer: the same in every engine, other classes stay."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from patchtst_har import Recognizer
from patchtst_har.data.windows import cut_windows
from patchtst_har.errors import DataError
from patchtst_har.inference.adaptation import Adaptation, fit_residual, weights_fingerprint, window_shares
from patchtst_har.inference.familiarity import Familiarity
from patchtst_har.realtime.pool import StreamPool
from streams import CLASSES, in_chunks, make_samples, recording_of, small_recognizer, with_familiarity

N_CLASSES, WIDTH = 4, 12


@pytest.fixture(scope="module")
def recognizer(small_run):
    return Recognizer.from_pretrained(small_run.folder / "model")


@pytest.fixture(scope="module")
def person(small_run):
    """Windows, labels and starts of a person whose sitting looks like nobody's: the sensor is turned."""
    test = small_run.trainer.data.test
    own = test.participants == test.participants[0]
    turned = test.windows[own] @ np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    return np.ascontiguousarray(turned), np.array(test.classes)[test.labels[own]], test.start_ns[own]


@pytest.fixture
def space():
    """A person's embeddings, logits and labels, and the model that gave the logits."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(N_CLASSES, WIDTH))
    labels = np.repeat(np.arange(N_CLASSES), 200)
    training = (centres[labels] + rng.normal(size=(800, WIDTH))).astype(np.float32)
    familiarity = Familiarity.fit(training, labels, N_CLASSES)
    head = (0.3 * centres).astype(np.float32), (-0.15 * (centres**2).sum(axis=1)).astype(np.float32)
    # This person's class 1 lies where others' class 2 does, and class 2 elsewhere.
    own = centres.copy()
    own[1], own[2] = centres[2] + 0.5, centres[2] - 4
    truth = np.repeat(np.arange(N_CLASSES), 8)
    embeddings = (own[truth] + rng.normal(size=(32, WIDTH))).astype(np.float32)
    return embeddings, embeddings @ head[0].T + head[1], truth, familiarity, head


def slow_loss(weight, bias, embeddings, logits, labels, familiarity, head):
    """Return what is minimised, for an addition (weight, bias) to the last layer, row by row."""
    centre, spread = familiarity.centre.astype(float), float(familiarity.spread)
    labelled = sorted(set(labels.tolist()))
    rows = [(e, logit, k, 1.0) for e, logit, k in zip(embeddings, logits, labels, strict=True)]
    for k in range(len(bias)):
        if k not in labelled:
            mean = familiarity.class_means[k]
            rows.append((mean, head[0] @ mean + head[1], k, len(labels) / len(labelled)))
    total = 0.0
    for e, logit, k, count in rows:
        scores = logit.astype(float) + weight @ e.astype(float) + bias
        total += count * (np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[k])
    at_centre = bias + weight @ centre
    return total + 0.015 * ((spread * weight) ** 2).sum() + 0.015 * (at_centre**2).sum()


def test_the_fit_is_the_minimum_of_the_penalised_loss(space):
    embeddings, logits, labels, familiarity, head = space
    some = labels != 3
    given = embeddings[some], logits[some], labels[some], familiarity, head
    weight, bias = (part.astype(float) for part in fit_residual(*given))
    best = slow_loss(weight, bias, *given)
    assert best < slow_loss(0 * weight, 0 * bias, *given)
    rng = np.random.default_rng(1)
    for size in (0.1, 0.01):
        for _ in range(20):
            dw, db = rng.normal(size=weight.shape), rng.normal(size=bias.shape)
            dw[3] = db[3] = 0
            moved = slow_loss(weight + size * dw / float(familiarity.spread), bias + size * db, *given)
            assert moved > best - 1e-4
    again = fit_residual(*given)
    np.testing.assert_array_equal(again[0], weight.astype(np.float32))


def test_the_fit_does_not_depend_on_the_scale_of_the_embedding(space):
    embeddings, logits, labels, familiarity, head = space
    weight, bias = fit_residual(*space)
    scale = np.float32(7.0)
    scaled = Familiarity(
        familiarity.class_means * scale,
        familiarity.class_windows,
        familiarity.projection,
        familiarity.spread * scale,
    )
    other = fit_residual(embeddings * scale, logits, labels, scaled, (head[0] / scale, head[1]))
    np.testing.assert_allclose(other[0] * scale, weight, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(other[1], bias, rtol=1e-2, atol=1e-2)


def test_a_few_windows_help_and_classes_without_labels_are_kept(space):
    embeddings, logits, truth, familiarity, head = space
    assert (logits.argmax(axis=1) == truth).mean() < 0.8
    every_other = np.arange(len(truth)) % 2 == 0
    weight, bias = fit_residual(
        embeddings[every_other], logits[every_other], truth[every_other], familiarity, head
    )
    adapted = logits + embeddings @ weight.T + bias
    assert (adapted.argmax(axis=1) == truth)[~every_other].mean() > 0.9
    # Classes 1 and 2 alone are labelled: 0 and 3 stay what they were.
    chosen = every_other & np.isin(truth, (1, 2))
    weight, bias = fit_residual(embeddings[chosen], logits[chosen], truth[chosen], familiarity, head)
    assert not weight[[0, 3]].any()
    assert not bias[[0, 3]].any()
    adapted = logits + embeddings @ weight.T + bias
    assert (adapted.argmax(axis=1) == truth)[np.isin(truth, (1, 2))].mean() > 0.9
    others = np.isin(truth, (0, 3))
    assert (adapted.argmax(axis=1) == truth)[others].mean() >= (logits.argmax(axis=1) == truth)[others].mean()


def test_a_person_who_labels_only_walking_still_gets_sitting(recognizer, small_run):
    test = small_run.trainer.data.test
    names = np.array(test.classes)[test.labels]
    own = test.participants == test.participants[0]
    walking = np.flatnonzero(own & (names == "walking"))[:6]
    adapted = recognizer.adapt(test.windows[walking], names[walking], test.start_ns[walking])
    found = adapted.predict(test.windows[own], test.start_ns[own]).labels
    for name in ("sitting", "walking", "running"):
        assert (found == name)[names[own] == name].mean() > 0.9
    assert adapted.adaptation.n_windows == {"walking": 6}


def test_adapting_is_the_addition_in_every_engine(recognizer, person, small_run):
    windows, labels, starts = person
    chosen = np.arange(len(labels)) % 3 == 0
    adapted = recognizer.adapt(windows[chosen], labels[chosen], starts[chosen])
    added = adapted.adaptation
    inputs = recognizer.inputs(windows, starts)
    logits, embeddings = recognizer.embed(inputs)
    expected = logits + embeddings @ added.weight.T + added.bias
    found, same = adapted.embed(inputs)
    np.testing.assert_array_equal(same, embeddings)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(adapted.judge(inputs)[1], recognizer.judge(inputs)[1])
    eager = Recognizer.from_pretrained(small_run.folder / "model", engine="torch")
    eager = eager.adapt(windows[chosen], labels[chosen], starts[chosen])
    np.testing.assert_allclose(eager.embed(inputs)[0], found, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(
        adapted.torch_module().head.project.weight.detach().numpy(),
        recognizer.head()[0] + added.weight,
        atol=1e-6,
    )
    before = recognizer.predict(windows[~chosen], starts[~chosen]).labels
    after = adapted.predict(windows[~chosen], starts[~chosen]).labels
    assert (after == labels[~chosen]).mean() > (before == labels[~chosen]).mean() + 0.2
    assert (after == labels[~chosen]).mean() > 0.9


def test_a_file_gives_the_same_recogniser(recognizer, person, small_run, tmp_path):
    windows, labels, starts = person
    adapted = recognizer.adapt(windows, labels, starts)
    path = adapted.save_adaptation(tmp_path / "person.safetensors")
    model, inputs = small_run.folder / "model", recognizer.inputs(windows, starts)
    for precision in ("float32",):
        loaded = Recognizer.from_pretrained(model, precision=precision, adaptation=path)
        np.testing.assert_array_equal(loaded.probabilities(inputs), adapted.probabilities(inputs))
    assert loaded.adaptation.n_windows == dict.fromkeys(recognizer.classes, 12)
    assert loaded.adaptation.labelled_s == pytest.approx(dict.fromkeys(recognizer.classes, 120.0))
    assert loaded.adaptation.fingerprint == adapted.adaptation.fingerprint
    eager = Recognizer.from_pretrained(model, engine="torch", adaptation=path)
    np.testing.assert_allclose(eager.probabilities(inputs), adapted.probabilities(inputs), atol=1e-5)
    # Also wherever the model lies, and whatever loads it.
    copied = shutil.copytree(model, tmp_path / "elsewhere")
    assert Recognizer.from_pretrained(copied, adaptation=path).adaptation is not None
    assert (
        weights_fingerprint(eager.replace(adaptation=None)._tensors(), eager.classes)
        != facts_of(path)["model"]
    )
    assert weights_fingerprint(recognizer._tensors(), recognizer.classes) == facts_of(path)["model"]
    with pytest.raises(DataError, match=r"adapted to a person, .*: save_adaptation writes what"):
        adapted.save_pretrained(tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


def facts_of(path):
    """Return what an adaptation says of itself."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return json.loads(header["__metadata__"]["patchtst_har"])


@pytest.fixture(scope="module")
def small():
    return with_familiarity(small_recognizer())


@pytest.fixture(scope="module")
def small_adapted(small):
    samples, stamps = make_samples(30, seed=3)
    windows = cut_windows(recording_of(samples, stamps), small.config.data).windows
    return small.adapt(windows, np.array(CLASSES)[np.arange(len(windows)) % 3])


def test_streams_and_pools_run_it(small, small_adapted):
    samples, stamps = make_samples(20)
    streams = [one.stream(smoothing="none") for one in (small, small_adapted)]
    plain, other = (in_chunks(stream, samples, stamps, 50) for stream in streams)
    windows = cut_windows(recording_of(samples, stamps), small.config.data)
    for k, decision in enumerate(other):
        expected = small_adapted.predict(windows.windows[k : k + 1]).probabilities[0]
        np.testing.assert_array_equal(decision.probabilities, expected)
    assert [d.label for d in other] != [d.label for d in plain]
    assert [d.distance for d in other] == [d.distance for d in plain]
    pool = StreamPool(small_adapted, smoothing="none")
    pooled = pool.push("a", samples, stamps)
    np.testing.assert_array_equal(pooled[0].probabilities, other[0].probabilities)


def test_a_state_of_another_adaptation_is_refused(small, small_adapted):
    samples, stamps = make_samples(5)
    stream = small_adapted.stream()
    stream.push(samples, stamps)
    small_adapted.stream().restore(stream.state())
    with pytest.raises(DataError, match="is of a stream with"):
        small.stream().restore(stream.state())
    windows = cut_windows(recording_of(samples, stamps), small.config.data).windows
    other = small.adapt(windows, ["walking", "sitting"])
    with pytest.raises(DataError, match="is of a stream with"):
        other.stream().restore(stream.state())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"labels": ["walking", "swimming"]},
            "'swimming' unknown to the model, whose classes are run",
        ),
        ({"labels": ["walking"]}, "labels: needs one for each of the 2 windows, has 1"),
        (
            {"windows": np.zeros((1, 200, 3), np.float32), "labels": ["walking"]},
            "at least 2 labelled windows",
        ),
        ({"windows": np.zeros((0, 200, 3), np.float32), "labels": []}, "at least 2 labelled windows"),
        ({"start_ns": np.zeros(1, np.int64)}, r"start_ns: needs shape \(2,\)"),
        ({"windows": np.full((2, 200, 3), np.nan, np.float32)}, "window 0 has values that are not finite"),
        ({"windows": np.full((2, 200, 3), 60, np.float32)}, "window 0 holds samples beyond 50 g"),
        ({"windows": np.zeros((2, 100, 3), np.float32)}, r"needs shape \(n, 200, 3\)"),
        ({"windows": np.zeros((2, 200, 3))}, "needs a float32 array"),
    ],
)
def test_what_cannot_be_used_is_refused(small, change, text):
    usual = {"windows": np.zeros((2, 200, 3), np.float32), "labels": ["walking", "sitting"]}
    with pytest.raises(DataError, match=text):
        small.adapt(**{**usual, **change})


def test_models_that_cannot_be_adapted_say_why(small, small_adapted, tmp_path):
    windows = np.zeros((2, 200, 3), np.float32)
    with pytest.raises(DataError, match="adapted to a person already"):
        small_adapted.adapt(windows, ["walking", "sitting"])
    with pytest.raises(DataError, match=r"no familiarity\.safetensors.*train it again"):
        small.replace(familiarity=None).adapt(windows, ["walking", "sitting"])
    with pytest.raises(DataError, match="no adaptation to save"):
        small.save_adaptation(tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model": "0" * 64}, "was made for another model"),
        ({"format": "x"}, "is no adaptation of a model"),
        ({"n_windows": {"swimming": 3}}, "n_windows: needs numbers of the model's classes"),
        ({"n_windows": {"walking": -3}}, "-3 is not a valid number of windows"),
        ({"labelled_s": []}, "labelled_s: needs numbers"),
        ({"labelled_s": {"walking": "3"}}, "'3' is not a valid number of windows"),
        ({"weight": np.zeros((3, 5), np.float32)}, r"weight must have shape \(3, \d+\)"),
        ({"bias": np.full(3, np.nan, np.float32)}, "bias has values that are not finite"),
        ({"more": np.zeros(3, np.float32)}, "is no adaptation of a model"),
    ],
)
def test_other_or_damaged_files_are_refused(small, small_adapted, tmp_path, change, text):
    path = small_adapted.save_adaptation(tmp_path / "a.safetensors")
    tensors, facts = safetensors.numpy.load_file(path), facts_of(path)
    for name, value in change.items():
        (tensors if isinstance(value, np.ndarray) else facts)[name] = value
    safetensors.numpy.save_file(tensors, path, {"patchtst_har": json.dumps(facts)})
    with pytest.raises(DataError, match=rf"a\.safetensors: .*{text}"):
        Adaptation.load(path, small._tensors(), small.classes)


def test_the_same_windows_give_the_same_file(small_adapted, tmp_path):
    paths = [small_adapted.save_adaptation(tmp_path / f"{i}.safetensors") for i in range(5)]
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_missing_file_is_named(small_run, tmp_path):
    with pytest.raises(DataError, match=r"none\.safetensors: no such file"):
        Recognizer.from_pretrained(small_run.folder / "model", adaptation=tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("not one")
    with pytest.raises(DataError, match=r"text\.safetensors: not a safetensors file"):
        Recognizer.from_pretrained(small_run.folder / "model", adaptation=tmp_path / "text.safetensors")


def test_overlapping_windows_cover_less():
    starts = np.array([0, 5, 10, 40], np.int64) * 10**9
    same = np.zeros(4, np.int64)
    shares = window_shares(starts[[2, 0, 3, 1]], same, 10.0)
    assert shares.tolist() == [0.75, 0.75, 1.0, 0.5]
    assert window_shares(starts, np.array([0, 1, 0, 0]), 10.0).tolist() == [1.0] * 4
    assert window_shares(None, same, 10.0).tolist() == [1.0] * 4
    twice = window_shares(np.repeat(starts, 2), np.repeat(same, 2), 10.0)
    np.testing.assert_allclose(twice.reshape(4, 2).sum(axis=1), window_shares(starts, same, 10.0))


def test_windows_twice_with_half_their_share_change_nothing(space, small):
    embeddings, logits, labels, familiarity, head = space
    some = np.flatnonzero(labels != 3)
    shares = np.linspace(0.3, 1, len(some))
    expected = fit_residual(embeddings[some], logits[some], labels[some], familiarity, head, shares)
    both, half = np.repeat(some, 2), np.repeat(shares / 2, 2)
    found = fit_residual(embeddings[both], logits[both], labels[both], familiarity, head, half)
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-3, atol=1e-4)
    full = fit_residual(embeddings[some], logits[some], labels[some], familiarity, head)
    assert np.abs(full[0] - expected[0]).max() > 0.01
    # Likewise where starts say that each window is there twice.
    samples, stamps = make_samples(30, seed=3)
    cut = cut_windows(recording_of(samples, stamps), small.config.data)
    names = np.array(CLASSES)[np.arange(len(cut)) % 3]
    one = small.adapt(cut.windows, names, cut.start_ns).adaptation
    rows = np.repeat(np.arange(len(cut)), 2)
    two = small.adapt(cut.windows[rows], names[rows], cut.start_ns[rows]).adaptation
    np.testing.assert_allclose(two.weight, one.weight, rtol=1e-3, atol=1e-4)
    assert two.labelled_s == pytest.approx(one.labelled_s)
