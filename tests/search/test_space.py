import random

import pytest

from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError
from patchtst_har.search.space import Parameter, Space, with_values

CONFIG = ExperimentConfig()


def read(**values):
    return Space.read({path.replace("__", "."): fields for path, fields in values.items()}, CONFIG, "a.yaml")


def floating(low, high, **fields):
    return {"type": "float", "low": low, "high": high, **fields}


def whole(low, high, **fields):
    return {"type": "int", "low": low, "high": high, **fields}


def choice(*choices):
    return {"type": "categorical", "choices": list(choices)}


def test_a_space_and_its_distributions():
    space = read(
        training__lr=floating("1e-4", 1e-2, log=True),
        training__batch_size=whole(16, 64, step=16),
        training__augmentation__shift_s=floating(0, 2, step=0.5),
        features__groups=choice(["statistical"], ["statistical", "topological"]),
        training__hop_s=choice(None, 5.0, 10),
        model__auxiliary_heads=choice(True, False),
    )
    lr, batch, shift, groups, hop, heads = space.distributions().values()
    assert (lr.low, lr.high, lr.log) == (1e-4, 1e-2, True)
    assert (batch.low, batch.high, batch.step) == (16, 64, 16)
    assert (shift.low, shift.high, shift.step) == (0, 2, 0.5)
    stored = {"features.groups": groups.choices[1], "training.hop_s": hop.choices[0], "training.lr": 0.001}
    assert space.values(stored) == {
        "features.groups": ["statistical", "topological"],
        "training.hop_s": None,
        "training.lr": 0.001,
    }
    assert space.values({"model.auxiliary_heads": heads.choices[0]}) == {"model.auxiliary_heads": True}


@pytest.mark.parametrize(
    ("path", "fields", "problem"),
    [
        ("training.lrr", floating(0.1, 1), "no such field (did you mean lr?)"),
        ("training.lr.peak", floating(0.1, 1), "no such field"),
        ("optimiser.lr", floating(0.1, 1), "no such field"),
        ("training", floating(0.1, 1), "is a section, a field of it is needed"),
        ("training.lr", 0.1, "needs a mapping with type, and low and high or choices"),
        ("training.lr", {"low": 0.1, "high": 1}, "type: Field required"),
        ("training.lr", {"type": "real"}, "type: Input should be 'float', 'int' or 'categorical'"),
        ("training.lr", floating(0.1, 1, base=10), "base: unknown key"),
        ("training.lr", floating(1, 0.1), "low (1) must be below high (0.1)"),
        ("training.lr", {"type": "float", "high": 1}, "low: is missing"),
        ("training.lr", floating(0.1, float("inf")), "high: needs a finite number"),
        ("training.lr", floating(0, 1), "Input should be greater than 0 (got 0.0)"),
        ("training.lr", floating(0.1, 1, log=True, step=0.1), "step has no meaning with log"),
        ("training.lr", floating(0.1, 1, step=2), "step (2) must be above 0 and at most high - low"),
        ("training.lr", floating(0.1, 1, choices=[1]), "choices has no meaning with type: float"),
        ("training.weight_decay", floating(0, 1, log=True), "low (0) must be above 0 with log"),
        ("training.warmup_fraction", floating(0, 1), "Input should be less than 1 (got 1.0)"),
        ("training.epochs", floating(1, 9), "Input should be a valid integer"),
        ("training.epochs", whole(0, 9), "Input should be greater than or equal to 1 (got 0)"),
        ("training.epochs", whole(1.5, 9), "low: needs a whole number, is 1.5"),
        ("training.decay", choice("all", "some"), "Input should be 'all' or 'matrices' (got 'some')"),
        ("training.decay", choice("all"), "choices: needs two different values or more"),
        ("training.decay", choice("all", "all"), "choices: needs two different values or more, each once"),
        ("training.decay", choice("all", {1: 2j}), "choices: "),
        (
            "training.decay",
            {**choice("all", "matrices"), "low": 1},
            "low has no meaning with type: categorical",
        ),
        ("model.d_model", choice(56, "wide"), "(got 'wide')"),
        ("seed", whole(0, 9), "cannot be searched: it is that of the configuration"),
        ("output_dir", choice("a", "b"), "cannot be searched: it names the run"),
        ("data.split_seed", whole(0, 9), "cannot be searched: trials must be judged on the same windows"),
        ("smoothing.pseudo_count", floating(1, 9), "cannot be searched: it has no part in the score"),
        ("training.device", choice("cpu", "cuda"), "cannot be searched: it does not change the model"),
    ],
)
def test_a_mistake_is_named_with_its_field(path, fields, problem):
    with pytest.raises(ConfigError) as raised:
        Space.read({path: fields}, CONFIG, "a.yaml")
    assert str(raised.value).startswith(f"a.yaml: search.{path}: ")
    assert problem in str(raised.value)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError) as raised:
        read(training__lrr=floating(0.1, 1), training__epochs=whole(0, 0), model__dropout=floating(-1, 2))
    fields = [problem.split(":")[0] for problem in raised.value.problems]
    assert fields == ["search.training.lrr", "search.training.epochs", *["search.model.dropout"] * 2]


@pytest.mark.parametrize("values", [None, {}, [], "training.lr", 3])
def test_a_space_needs_fields(values):
    with pytest.raises(ConfigError, match="search: needs a mapping of fields to ranges"):
        Space.read(values, CONFIG, "a.yaml")


def test_a_space_without_a_sound_combination_is_refused():
    with pytest.raises(ConfigError, match=r"every combination contradicts itself; model\.d_model \(5[79]\)"):
        read(model__d_model=choice(57, 59), model__n_heads=choice(2, 4))
    # Some of these contradict themselves.
    assert read(model__d_model=choice(57, 58, 60), model__n_heads=choice(2, 3))


def test_all_fields_are_set_before_any_is_checked():
    changed = with_values(CONFIG, {"model.d_model": 60, "model.n_heads": 5, "training.lr": 0.5, "seed": 4})
    assert (changed.model.d_model, changed.model.n_heads, changed.training.lr) == (60, 5, 0.5)
    assert changed.seed == 4
    assert changed.model.replace(d_model=56, n_heads=2) == CONFIG.model
    groups = {"features.groups": ["statistical", "movement"]}
    assert with_values(CONFIG, groups).model.n_stat_features > CONFIG.model.n_stat_features
    with pytest.raises(ConfigError, match=r"^model\.d_model \(57\) must be divisible"):
        with_values(CONFIG, {"model.d_model": 57})


def test_what_is_drawn_lies_in_the_range():
    rng = random.Random(0)  # noqa: S311 - no secret
    stepped = Parameter(**whole(3, 9, step=3))
    assert {stepped.draw(rng) for _ in range(50)} == {3, 6, 9}
    plain = Parameter(**floating(0.5, 0.6))
    assert all(0.5 <= plain.draw(rng) <= 0.6 for _ in range(50))
    assert {Parameter(**choice("a", None)).draw(rng) for _ in range(50)} == {"a", None}
