import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kept_errors import is_freed
from patchtst_har.config import (
    N_MOVEMENT_FEATURES,
    N_STATISTICAL_FEATURES,
    N_TOPOLOGICAL_FEATURES,
    AugmentationConfig,
    DataConfig,
    ExperimentConfig,
    FeatureConfig,
    ModelConfig,
    SmoothingConfig,
    TopologyConfig,
    TrainingConfig,
)
from patchtst_har.errors import ConfigError

SECTIONS = [
    DataConfig,
    TopologyConfig,
    FeatureConfig,
    ModelConfig,
    AugmentationConfig,
    TrainingConfig,
    SmoothingConfig,
    ExperimentConfig,
]


def problems_of(cls: type[Any], **values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        cls(**values)
    return caught.value.problems


def test_the_defaults_are_the_reference_configuration() -> None:
    config = ExperimentConfig()
    assert (config.model.d_model, config.model.n_heads, config.model.n_layers, config.model.dropout) == (
        56,
        2,
        2,
        0.3,
    )
    assert (config.model.patch_len, config.model.window_size, config.model.n_patches) == (100, 1000, 10)
    assert (config.model.n_tokens, config.model.head_dim) == (12, 28)
    assert (config.data.sample_rate_hz, config.data.hop_size) == (100.0, 1000)


def test_tokens_that_are_left_out_are_not_counted() -> None:
    assert ModelConfig(n_stat_features=0).n_tokens == 11
    assert ModelConfig(n_stat_features=0, n_topo_features=0).n_tokens == 10


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_are_frozen(section: type[Any]) -> None:
    config = section()
    name = next(iter(type(config).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, name, getattr(config, name))


@pytest.mark.parametrize("section", SECTIONS)
def test_unknown_keys_are_refused(section: type[Any]) -> None:
    assert problems_of(section, no_such_key=1) == ["no_such_key: unknown key"]


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = ExperimentConfig(
        experiment_name="trial-2",
        output_dir=tmp_path / "runs",
        seed=7,
        data=DataConfig(
            split="lists", train_participants=("007", "1e3"), val_participants=("no",), timezone="Asia/Tokyo"
        ),
        features=FeatureConfig(cache_dir=tmp_path, topology=TopologyConfig(max_points=64)),
        training=TrainingConfig(lr=1e-5, weight_decay=0),
    )
    config.save(tmp_path / "config.yaml")
    assert ExperimentConfig.load(tmp_path / "config.yaml") == config
    assert list(yaml.safe_load(config.to_yaml())) == list(ExperimentConfig.model_fields)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert ExperimentConfig.load(tmp_path / "a.yaml") == ExperimentConfig()


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "experiment_name: ../escape\n"
        "data: {hop_size: 2000, label_policy: best}\n"
        "model: {d_model: 0, n_head: 2}\n"
        "training: {lr: .nan, epochs: many}\n"
        "extra: 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.load(tmp_path / "a.yaml")
    named = sorted(problem.split(":")[0] for problem in caught.value.problems)
    expected = ["data.hop_size (2000) must not exceed window_size (1000)", "data.label_policy"]
    expected += ["experiment_name", "extra", "model.d_model", "model.n_head"]
    assert named == sorted([*expected, "training.epochs", "training.lr"])
    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}: ")
    assert "model.n_head: unknown key (did you mean n_heads?)" in caught.value.problems
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "values", "expected"),
    [
        (DataConfig, {"hop_size": 1001}, "hop_size (1001) must not exceed window_size (1000)"),
        (DataConfig, {"split": "kfold", "fold": 5}, "fold (5) must be below n_folds (5)"),
        (DataConfig, {"split": "lists"}, 'split="lists" needs train_participants'),
        (DataConfig, {"test_participants": ("a", "a")}, "'a' stands in the lists more than once"),
        (
            DataConfig,
            {"split": "lists", "train_participants": ("a", "b"), "val_participants": ("b",)},
            "'b' stands in the lists more than once",
        ),
        (
            TrainingConfig,
            {"schedule": "one_cycle", "betas": (0.96, 0.99)},
            'betas: the first (0.96) must be in [0.05, 0.95) with schedule="one_cycle", which moves it by',
        ),
        (
            TrainingConfig,
            {"keep": "last", "early_stop_patience": 3},
            'early_stop_patience (3) has no meaning with keep="last"',
        ),
        (TrainingConfig, {"distillation": 0.7}, "distillation (0.7) has no meaning with no teachers"),
        (TrainingConfig, {"focal_gamma": 3}, 'focal_gamma (3.0) has no meaning with loss="cross_entropy"'),
        (
            TrainingConfig,
            {"effective_beta": 0.9},
            "effective_beta (0.9) has no meaning with class_weights=",
        ),
        (
            TrainingConfig,
            {"plateau_patience": 2},
            "plateau_patience (2) has no meaning with schedule=",
        ),
        (
            TrainingConfig,
            {"plateau_factor": 0.2},
            "plateau_factor (0.2) has no meaning with schedule=",
        ),
        (
            TrainingConfig,
            {"schedule": "plateau", "schedule_epochs": 50},
            'schedule_epochs (50) has no meaning with schedule="plateau"',
        ),
        (TrainingConfig, {"schedule_epochs": 20}, "schedule_epochs (20) must not be below epochs (30)"),
        (TrainingConfig, {"accumulation": 33}, "accumulation (33) must not exceed batch_size (32)"),
        (
            TrainingConfig,
            {"keep": "last", "monitor": "val_loss"},
            'monitor (val_loss) has no meaning with keep="last" and no schedule="plateau"',
        ),
        (
            TrainingConfig,
            {"loss": "focal", "label_smoothing": 0.1},
            "label_smoothing (0.1) has no meaning",
        ),
        (TrainingConfig, {"amp": "fp16", "device": "cpu"}, 'amp: "fp16" needs CUDA, and device is "cpu"'),
        (
            ExperimentConfig,
            {"training": {"hop_s": 10.5}},
            "training.hop_s (10.5) must be from one sample to one window, that is from 0.01 to 10",
        ),
        (
            ExperimentConfig,
            {"training": {"hop_s": 0.001}},
            "training.hop_s (0.001) must be from one sample to one window, that is from 0.01 to 10",
        ),
        (
            ExperimentConfig,
            {"data": {"sample_rate_hz": 20}, "training": {"augmentation": {"low_rate": 0.5}}},
            "training.augmentation.low_rate: resamples to 20 Hz and more, data.sample_rate_hz is 20",
        ),
        (ModelConfig, {"patch_len": 300}, "window_size (1000) must be divisible by patch_len (300)"),
        (ModelConfig, {"patch_len": 1001}, "patch_len (1001) must not exceed window_size (1000)"),
        (ModelConfig, {"patch_stride": 101}, "patch_stride (101) must not exceed patch_len (100)"),
        (
            ModelConfig,
            {"patch_stride": 70},
            "window_size - patch_len (900) must be divisible by patch_stride (70): the last samples",
        ),
        (
            ModelConfig,
            {"stem": [{"channels": 8, "kernel": 9, "stride": 4}]},
            "stem.0: kernel (9) and stride (4) must cover its input of 100 samples exactly",
        ),
        (
            ModelConfig,
            {
                "stem": [
                    {"channels": 8, "kernel": 8, "stride": 4},
                    {"channels": 8, "kernel": 25, "stride": 1},
                ]
            },
            "stem.1: kernel (25) and stride (1) must cover its input of 24 samples exactly",
        ),
        (
            ModelConfig,
            {"stem": [{"channels": 8, "kernel": 2, "stride": 7}]},
            "stem.0.stride (7) must not exceed kernel (2)",
        ),
        (
            ModelConfig,
            {"n_stat_features": 0, "n_stat_tokens": 2},
            "n_stat_tokens (2) has no meaning with n_stat_features 0",
        ),
        (ModelConfig, {"n_heads": 3}, "d_model (56) must be divisible by n_heads (3)"),
        (ModelConfig, {"n_heads": 8}, "head_dim = d_model / n_heads (7) must be even"),
        (
            ExperimentConfig,
            {"data": {"window_size": 500, "hop_size": 500}},
            "data.window_size (500) and model.window_size (1000) must be equal",
        ),
        (
            ExperimentConfig,
            {"model": {"n_stat_features": N_STATISTICAL_FEATURES - 1}},
            f"model.n_stat_features must be 0 or {N_STATISTICAL_FEATURES}, is",
        ),
        (
            ExperimentConfig,
            {"model": {"n_stat_features": N_STATISTICAL_FEATURES}, "features": {"plugins": ["hjorth"]}},
            f"model.n_stat_features must be 0 or {N_STATISTICAL_FEATURES + 2}, is {N_STATISTICAL_FEATURES} "
            f"(features.plugins adds 2 to the {N_STATISTICAL_FEATURES}",
        ),
        (
            ExperimentConfig,
            {"features": {"groups": ["statistical", "movement"]}, "model": {"n_topo_features": 24}},
            "model.n_topo_features must be 0: features.groups leaves them out",
        ),
        (
            ExperimentConfig,
            {"features": {"groups": ["statistical"]}, "model": {"n_topo_tokens": 2}},
            "model.n_topo_tokens (2) has no meaning with n_topo_features 0",
        ),
        (FeatureConfig, {"groups": ["movement"]}, "groups: must hold 'statistical', and no name twice"),
        (FeatureConfig, {"groups": ["statistical", "statistical"]}, "groups: must hold 'statistical', and"),
        (FeatureConfig, {"groups": ["statistical", "spectral"]}, "groups.1"),
        (
            FeatureConfig,
            {"plugins": ["absent"]},
            "plugins: feature 'absent': is not registered",
        ),
        (
            FeatureConfig,
            {"plugins": ["hjorth", "hjorth"]},
            "feature 'hjorth': is selected more than once",
        ),
        (ExperimentConfig, {"model": {"n_topo_features": 1}}, "model.n_topo_features must be 0 or 24"),
        (ExperimentConfig, {"model": {"n_time_features": 6}}, "model.n_time_features must be 0 or 5"),
        (ExperimentConfig, {"model": {"channels": 1}}, "model.channels must be 3"),
    ],
)
def test_contradictions_between_fields_are_named(
    section: type[Any], values: dict[str, Any], expected: str
) -> None:
    (problem,) = problems_of(section, **values)
    assert expected in problem


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"norm": "batch"}, "norm: Input should be 'pre' or 'post' (got 'batch')"),
        ({"activation": "swish"}, "activation: Input should be 'gelu' or 'relu' (got 'swish')"),
        ({"pooling": "max"}, "pooling: Input should be 'mean', 'cls', 'attention' or 'mean_max' (got 'max')"),
        ({"n_topo_tokens": 0}, "n_topo_tokens: Input should be greater than or equal to 1 (got 0)"),
        (
            {"stem": [{"channels": 8, "kernel": 4, "stride": 2}] * 9},
            "stem: Tuple should have at most 8 items",
        ),
        ({"stem": [{"channels": 8, "kernel": 4, "strides": 2}]}, "stem.0.strides: unknown key"),
    ],
)
def test_options_of_the_architecture_are_named(values, expected) -> None:
    assert any(problem.startswith(expected) for problem in problems_of(ModelConfig, **values))


def test_tokens_and_lengths_follow_from_the_options() -> None:
    config = ModelConfig(patch_len=200, patch_stride=100, n_stat_tokens=3, n_topo_tokens=2, pooling="cls")
    assert (config.n_patches, config.n_tokens, config.feature_tokens) == (9, 15, (3, 2))
    stem = [{"channels": 8, "kernel": 8, "stride": 4}, {"channels": 12, "kernel": 4, "stride": 2}]
    config = ModelConfig(stem=stem)
    assert (config.stem_lengths, config.patch_width) == ((100, 24, 11), 132)
    assert ModelConfig(**config.model_dump(mode="json")) == config


def test_two_contradictions_are_both_reported() -> None:
    assert len(problems_of(ModelConfig, patch_len=300, n_heads=3)) == 2


@pytest.mark.parametrize(
    ("section", "name", "bad"),
    [
        (DataConfig, "sample_rate_hz", 0),
        (DataConfig, "sample_rate_hz", float("inf")),
        (DataConfig, "window_size", 0),
        (DataConfig, "window_size", 10.5),
        (DataConfig, "min_labelled_fraction", 1.01),
        (DataConfig, "max_gap_s", -1.0),
        (DataConfig, "train_n", 10**9),
        (DataConfig, "val_n", 2**63),
        (DataConfig, "max_gap_s", float("nan")),
        (DataConfig, "n_folds", 1),
        (ModelConfig, "dropout", 1.0),
        (ModelConfig, "channels", 4),
        (TrainingConfig, "batch_size", 0),
        (TrainingConfig, "batch_size", 2**63),
        (TrainingConfig, "device", "tpu"),
        (TrainingConfig, "warmup_fraction", -0.1),
        (TopologyConfig, "max_points", 1),
        (TopologyConfig, "delay_s", 1e308),
        (TopologyConfig, "engine", "os.system"),
        (SmoothingConfig, "pseudo_count", 0),
        (SmoothingConfig, "pseudo_count", 1e308),
        (SmoothingConfig, "max_gap_s", 1e308),
        (ExperimentConfig, "seed", -1),
        (ExperimentConfig, "experiment_name", ""),
        (ExperimentConfig, "experiment_name", "a/b"),
        (ExperimentConfig, "experiment_name", "a\n"),
        (ExperimentConfig, "experiment_name", ".."),
    ],
)
def test_values_out_of_range_are_named_with_what_was_given(
    section: type[Any], name: str, bad: object
) -> None:
    (problem,) = problems_of(section, **{name: bad})
    assert problem.startswith(f"{name}: ")
    assert f"(got {bad!r})" in problem


def test_overrides_are_applied_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("training: {epochs: 3, lr: 0.01}\n")
    overrides = [
        "training.epochs=5",
        "training.epochs=6",
        "data.proc_dir=elsewhere",
        "features.topology.max_points=64",
        "data.test_participants=[P01, P02]",
        "data.timezone=null",
    ]
    config = ExperimentConfig.load(tmp_path / "a.yaml", overrides)
    assert (config.training.epochs, config.training.lr) == (6, 0.01)
    assert config.data.proc_dir == Path("elsewhere")
    assert config.data.test_participants == ("P01", "P02")
    assert config.features.topology.max_points == 64


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "needs the form section.field=value"),
        ("=5", "needs the form section.field=value"),
        ("training..epochs=5", "needs the form section.field=value"),
        ("training.epochs=[", "not YAML"),
        ("seed.more=5", "seed: Input should be a valid integer"),
        ("training.epoch=5", "training.epoch: unknown key"),
        ("training=5", "training: "),
        ("training.epochs=five", r"training.epochs: .*got 'five'"),
    ],
)
def test_bad_overrides_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExperimentConfig.from_mapping({}, [override])


def test_an_override_below_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="'seed' is a value, not a section"):
        ExperimentConfig.from_mapping({"seed": 3}, ["seed.more=5"])


def test_overrides_leave_the_mapping_given_alone() -> None:
    values = {"training": {"epochs": 3}}
    ExperimentConfig.from_mapping(values, ["training.epochs=5", "seed=1"])
    assert values == {"training": {"epochs": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"- 1\n", "needs a mapping of sections at the top, has list"),
        (b"training: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_files_that_are_no_configuration_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        ExperimentConfig.load(tmp_path / "a.yaml")
    assert "a.yaml" in str(caught.value)


def test_thousands_of_problems_are_counted_not_listed() -> None:
    with pytest.raises(ConfigError) as caught:
        FeatureConfig(groups=["a"] * 5000)
    assert len(caught.value.problems) == 5000
    assert str(caught.value).endswith("; and 4,980 more")
    assert len(str(caught.value)) < 4000


def test_replace_validates() -> None:
    config = ExperimentConfig()
    changed = config.replace(training=config.training.replace(epochs=2))
    assert (config.training.epochs, changed.training.epochs) == (30, 2)
    with pytest.raises(ConfigError, match="patch_len"):
        config.model.replace(patch_len=300)
    with pytest.raises(ConfigError, match="unknown key"):
        config.replace(trainning=1)


def test_the_run_folder() -> None:
    assert ExperimentConfig(output_dir=Path("a"), experiment_name="b").run_dir == Path("a/b")


def test_errors_survive_pickling() -> None:
    error = ConfigError(["a: wrong", "b: wrong"], "file.yaml")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(copy) == "file.yaml: a: wrong; b: wrong"
    assert copy.problems == error.problems


def test_contradictions_across_sections_are_reported_beside_those_within() -> None:
    values = {"model": {"d_model": 57}, "data": {"window_size": 2000, "label_policy": "best"}}
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_mapping(values)
    problems = " | ".join(caught.value.problems)
    assert "model.d_model (57) must be divisible by n_heads (2)" in problems
    assert "data.label_policy: " in problems
    assert "data.window_size (2000) and model.window_size (1000) must be equal" in problems


def test_a_field_found_wrong_gives_no_further_contradiction() -> None:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_mapping(
            {"data": {"window_size": "long"}, "model": {"window_size": 500, "patch_len": 50}}
        )
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["data.window_size"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"split": "counts", "train_participants": ["A"]}, "train_participants"),
        ({"split": "counts", "val_participants": ["A"]}, "val_participants"),
        ({"split": "kfold", "test_participants": ["A"]}, "test_participants"),
    ],
)
def test_lists_that_the_split_does_not_use_are_refused(values: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=f'{field} has no meaning with split="{values["split"]}"'):
        DataConfig(**values)


@pytest.mark.parametrize("text", ["1: 2", "data: {1: 2}", "data: {true: x}"])
def test_keys_that_are_not_names_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml.*key (1|True) is not a name"):
        ExperimentConfig.load(tmp_path / "a.yaml")


def test_a_configuration_without_paths_travels() -> None:
    config = ExperimentConfig(output_dir="/somewhere", data=DataConfig(proc_dir="/else", train_n=3))
    portable = config.without_paths()
    assert "somewhere" not in portable.to_yaml()
    assert "else" not in portable.to_yaml()
    assert portable.data.train_n == 3


def test_the_statistical_vector_follows_the_plug_ins_and_survives_writing(tmp_path: Path) -> None:
    config = ExperimentConfig.from_mapping({}, ["features.plugins=[hjorth, jerk_rms]"])
    assert config.features.plugins == ("hjorth", "jerk_rms")
    assert config.model.n_stat_features == N_STATISTICAL_FEATURES + 3
    config.save(tmp_path / "config.yaml")
    assert ExperimentConfig.load(tmp_path / "config.yaml") == config
    assert ExperimentConfig().model.n_stat_features == N_STATISTICAL_FEATURES
    without = ExperimentConfig.from_mapping({}, ["features.plugins=[hjorth]", "model.n_stat_features=0"])
    assert without.model.n_stat_features == 0
    changed = config.replace(features=FeatureConfig(plugins=("hjorth",)))
    assert changed.model.n_stat_features == N_STATISTICAL_FEATURES + 2
    assert changed.replace(features=FeatureConfig()).model.n_stat_features == N_STATISTICAL_FEATURES


def test_the_vectors_follow_the_groups(tmp_path: Path) -> None:
    config = ExperimentConfig.from_mapping({}, ["features.groups=[movement, statistical]"])
    assert config.features.groups == ("statistical", "movement")
    n_both = N_STATISTICAL_FEATURES + N_MOVEMENT_FEATURES
    assert (config.model.n_stat_features, config.model.n_topo_features) == (n_both, 0)
    config.save(tmp_path / "config.yaml")
    assert ExperimentConfig.load(tmp_path / "config.yaml") == config
    everything = ExperimentConfig.from_mapping(
        {}, ["features.groups=[statistical, movement, topological]", "features.plugins=[hjorth]"]
    ).model
    assert (everything.n_stat_features, everything.n_topo_features) == (n_both + 2, N_TOPOLOGICAL_FEATURES)
    again = config.replace(features=FeatureConfig())
    assert again.model == ExperimentConfig().model


def test_a_shared_section_is_not_changed_by_the_experiment_it_is_given_to() -> None:
    model = ModelConfig()
    assert (
        ExperimentConfig(model=model, features=FeatureConfig(plugins=("hjorth",))).model.n_stat_features
        == N_STATISTICAL_FEATURES + 2
    )
    assert model.n_stat_features == N_STATISTICAL_FEATURES
    assert ExperimentConfig(model=model).model.n_stat_features == N_STATISTICAL_FEATURES


@pytest.mark.parametrize("name", AugmentationConfig.model_fields)
@pytest.mark.parametrize("value", [-0.1, 1e6, "much", float("nan")])
def test_strengths_of_variations_have_bounds(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"training\.augmentation\.{name}: Input should be") as caught:
        ExperimentConfig(training={"augmentation": {name: value}})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"schedule": "cyclic"}, "schedule"),
        ({"betas": [0.9]}, "betas.1"),
        ({"betas": [0.9, 1.0]}, "betas.1"),
        ({"epoch_fraction": 0}, "epoch_fraction"),
        ({"epoch_fraction": 1.1}, "epoch_fraction"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"class_weights": "square"}, "class_weights"),
        ({"auxiliary_weight": -1}, "auxiliary_weight"),
        ({"teachers": "model"}, "teachers"),
        ({"teachers": ["model"], "distillation": 1.5}, "distillation"),
        ({"augmentation": {"mixup": 0.2}}, "augmentation.mixup"),
    ],
)
def test_settings_of_a_recipe_are_checked(values: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig(training=values)
    assert [problem.split(":")[0].split(" ")[0] for problem in caught.value.problems] == [f"training.{field}"]


def test_all_heads_need_auxiliary_heads() -> None:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig(training={"heads": "all"})
    assert caught.value.problems == ['training.heads: "all" needs model.auxiliary_heads']


WINDOW_STEM = [
    {"channels": 8, "kernel": 16, "stride": 8, "padding": 8},
    {"channels": 56, "kernel": 9, "stride": 2, "padding": 4},
]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"stem_over": "window"}, "stem_over: window needs a stem"),
        (
            {"stem_over": "window", "stem": WINDOW_STEM[:1]},
            "stem.0.channels (8) must be d_model (56) with stem_over window",
        ),
        (
            {"stem_over": "window", "stem": WINDOW_STEM, "patch_len": 500},
            "patch_len (500) must be window_size (1000) with stem_over window",
        ),
        ({"stem": WINDOW_STEM[:1]}, "stem.0.padding (8) has no meaning with stem_over patch"),
        (
            {"stem_over": "window", "stem": [{"channels": 56, "kernel": 5, "stride": 5, "padding": 5}]},
            "stem.0.padding (5) must be below kernel (5)",
        ),
        (
            {"stem_over": "window", "stem": [{"channels": 56, "kernel": 3, "stride": 3, "padding": 0}]},
            "stem.0: kernel (3) and stride (3) must cover its input of 1000 samples exactly",
        ),
        ({"auxiliary_heads": True}, "auxiliary_heads needs features_as branch"),
        ({"branch": {"width": 9}}, "branch has no meaning with features_as tokens"),
        (
            {"features_as": "branch", "n_stat_tokens": 2},
            "n_stat_tokens (2) has no meaning with features_as branch",
        ),
        (
            {"features_as": "branch", "n_stat_features": 0, "n_topo_features": 0},
            "features_as: branch needs features",
        ),
    ],
)
def test_contradictions_of_stem_and_branch_are_named(values: dict[str, Any], expected: str) -> None:
    assert any(expected in problem for problem in problems_of(ModelConfig, **values))


def test_with_a_stem_over_the_window_the_patch_follows_the_window() -> None:
    config = ModelConfig(stem_over="window", stem=WINDOW_STEM)
    assert (config.patch_len, config.n_patches, config.stem_lengths) == (1000, 1, (1000, 126, 63))
    assert config.n_tokens == 63 + 2
    shorter = config.replace(window_size=500)
    assert (shorter.patch_len, shorter.n_tokens) == (500, 32 + 2)
    assert ModelConfig(**config.model_dump()) == config


def test_a_replaced_field_is_followed_by_those_that_were_never_set() -> None:
    assert ModelConfig().replace(n_layers=3).model_fields_set == {"n_layers"}


def test_the_contradictions_of_a_recipe_come_together_with_their_paths():
    training = {"schedule_epochs": 3, "accumulation": 40, "focal_gamma": 1.0, "plateau_factor": 0.1}
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig(training=training)
    fields = [problem.split(" ")[0] for problem in caught.value.problems]
    assert sorted(fields) == sorted(f"training.{name}" for name in training)


def test_mixed_precision_was_a_switch():
    assert [TrainingConfig(amp=value).amp for value in (True, False, "bf16")] == ["auto", "off", "bf16"]


def test_an_error_that_its_own_frame_keeps_is_freed() -> None:
    assert is_freed(lambda: ExperimentConfig(data={"window_size": 2, "hop_size": 1000}), ConfigError)
