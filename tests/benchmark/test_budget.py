import pytest
from pydantic import ValidationError

from patchtst_har.benchmark.budget import DEFAULT_TARGETS, Budget, Target
from patchtst_har.errors import ConfigError


def written(tmp_path, text):
    path = tmp_path / "budget.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_target_names_only_what_differs_from_the_defaults(tmp_path):
    path = written(tmp_path, "targets:\n- {name: ward, streams: 120, cores: 2, deadline_s: 0.25}\n")
    (target,) = Budget.load(path).targets
    assert target == Target(name="ward", streams=120, cores=2, deadline_s=0.25)
    assert (target.device, target.hop_s, target.percentile, target.memory_mb) == ("cpu", 1.0, "p99", None)


def test_the_deadline_is_the_hop_unless_it_is_given():
    assert Target(name="a", hop_s=0.5).deadline_us == 500_000
    assert Target(name="a", hop_s=0.5, deadline_s=0.002).deadline_us == 2_000


@pytest.mark.parametrize(
    ("streams", "cores", "per_core"), [(1, 1, 1), (500, 1, 500), (10, 4, 3), (8, 4, 2), (4, 4, 1)]
)
def test_the_fullest_core_decides(streams, cores, per_core):
    assert Target(name="a", streams=streams, cores=cores).streams_per_core == per_core


def test_all_problems_come_at_once(tmp_path):
    path = written(
        tmp_path,
        "targets:\n"
        "- {name: first, hop_s: 0, streems: 3}\n"
        "- {name: second, deadline_s: 2, cores: 3, workloads: [still, still]}\n"
        "- 5\n"
        "- {percentile: p50}\n"
        "defaults: 1\n",
    )
    with pytest.raises(ConfigError) as caught:
        Budget.load(path)
    assert str(caught.value).startswith(str(path))
    expected = (
        "targets.0.hop_s: Input should be greater than 0 (got 0)",
        "targets.0.streems: unknown key (did you mean streams?)",
        "targets.1.deadline_s (2) must not exceed hop_s (1): a stream that needs longer falls behind",
        "targets.1.cores (3) must not exceed streams (1): a stream runs on one core",
        "targets.1.workloads: 'still' is named more than once",
        "targets.2: Input should be a valid dictionary or instance of Target (got 5)",
        "targets.3.name: Field required",
        "targets.3.percentile: Input should be 'p95', 'p99', 'p99_9' or 'max'",
        "defaults: unknown key",
    )
    for number, part in enumerate(expected):
        assert sum(problem.startswith(part) for problem in caught.value.problems) == 1, number
    assert len(caught.value.problems) == len(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "targets: missing"),
        ("targets: []\n", "targets: needs at least one target"),
        ("targets: [{name: a}, {name: b}, {name: a}]\n", "targets: the name 'a' is used more than once"),
        (
            "targets: [{name: a, streams: 30000, cores: 2}]\n",
            "targets.0.streams (30000) on cores (2) are 15,000 a core",
        ),
        (f"targets: [{{name: a, streams: 1{'0' * 30}}}]\n", "streams: Input should be less than"),
        ("targets: [{1: a}]\n", "targets: key 1 is not a name"),
        ("targets: [\n", "not YAML"),
        ("- name: a\n", "needs a mapping"),
        ("targets: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_what_is_no_budget_is_refused_with_its_name(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Budget.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_built_in_targets_survive_a_file(tmp_path):
    assert Budget().targets == DEFAULT_TARGETS
    assert Budget.load(written(tmp_path, Budget().to_yaml())) == Budget()


def test_the_built_in_targets_at_another_hop():
    moved = Budget().at_hop(0.5).targets
    assert {target.hop_s for target in moved} == {0.5}
    assert [target.deadline_us for target in moved][:2] == [500_000, 1_000]
    with pytest.raises(ConfigError, match="must not exceed hop_s"):
        Budget().at_hop(0.0005)


def test_a_budget_does_not_change():
    with pytest.raises(ValidationError):
        Budget().targets = ()
