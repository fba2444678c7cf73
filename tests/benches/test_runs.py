"""Runs of the benchmarks compared, on simulated times."""

import json

import numpy as np
import pytest

from patchtst_har.benchmark.changes import find_changes
from patchtst_har.errors import DataError
from runs import Run, paired_repeats, paired_runs, read_run
from simulated_runs import NAMES, made_run

pytestmark = pytest.mark.slow


def compared(base, here):
    return find_changes(paired_runs(base, here))


def compared_in_turn(pairs):
    return find_changes(paired_repeats(pairs), 0.01)


def outcomes(changes, percentile="p50"):
    return {
        change.name: change.outcome
        for change in changes
        if change.percentile == percentile and change.outcome != "no clear change"
    }


def of(changes, name, percentile="p50"):
    return next(change for change in changes if (change.name, change.percentile) == (name, percentile))


def test_equal_runs_tell_nothing():
    run = made_run(0)
    changes = compared(run, run)
    assert len(changes) == 2 * len(NAMES)
    assert {change.ratio for change in changes} == {1.0}
    for found in (changes, compared_in_turn([(run, run)] * 3)):
        assert {change.outcome for change in found} == {"no clear change"}


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_not_told_and_changes_are(seed):
    factors = {NAMES[3]: 1.5, NAMES[7]: 0.6}
    changes = compared(made_run(seed), made_run(seed + 100, factors=factors))
    for percentile in ("p50", "p95"):
        assert outcomes(changes, percentile) == {NAMES[3]: "slower", NAMES[7]: "faster"}
    change = of(changes, NAMES[3])
    assert 1.05 < change.low < 1.5 < change.high


def test_15_percent_are_found_in_most_pairs_of_runs_and_hardly_anything_else():
    found = others = 0
    for seed in range(20):
        changes = compared(made_run(seed), made_run(seed + 500, factors={NAMES[4]: 1.15}))
        told = {**outcomes(changes, "p95"), **outcomes(changes)}
        found += told.pop(NAMES[4], None) == "slower"
        others += len(told)
    assert found >= 17
    assert others <= 1


def test_a_machine_of_half_the_speed_is_no_change():
    base, here = made_run(0), made_run(1, speed_us=200.0)
    assert here.benchmarks[NAMES[4]].p50_us == pytest.approx(2 * base.benchmarks[NAMES[4]].p50_us, rel=0.1)
    assert not outcomes(compared(base, here))


def test_bands_widen_where_all_benchmarks_scatter_between_runs():
    factors = dict(zip(NAMES, np.exp(np.linspace(-0.2, 0.2, 20)), strict=True))
    assert not outcomes(compared(made_run(0), made_run(1, factors=factors)))


def test_too_few_rounds_and_interrupted_ones_tell_nothing():
    factors = dict.fromkeys(NAMES, 3.0)
    short = compared(made_run(0, n_rounds=100), made_run(1, n_rounds=100, factors=factors))
    assert set(outcomes(short, "p95").values()) == {"too few blocks"}
    assert of(short, NAMES[0], "p95").ratio == pytest.approx(3.0, rel=0.2)
    assert not any(change.percentile == "p95" for change in compared(*(made_run(0, n_rounds=19),) * 2))
    shares = {NAMES[0]: 0.05, NAMES[1]: 0.5}
    disturbed = compared(made_run(0), made_run(1, interrupted=shares))
    assert outcomes(disturbed) == {NAMES[1]: "interrupted"}
    assert outcomes(disturbed, "p95") == {NAMES[0]: "interrupted", NAMES[1]: "interrupted"}


def test_runs_of_other_numbers_of_rounds_are_compared_block_by_block():
    changes = compared(made_run(0, n_rounds=3000), made_run(1, n_rounds=400, factors={NAMES[2]: 1.3}))
    for percentile in ("p50", "p95"):
        assert outcomes(changes, percentile) == {NAMES[2]: "slower"}
    assert of(changes, NAMES[2], "p95").n_blocks == 20


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs_tell_changes_that_survive_their_scatter(seed):
    factors = {NAMES[5]: 1.2}
    pairs = [(made_run(10 * seed + n), made_run(10 * seed + n + 500, factors=factors)) for n in range(6)]
    changes = compared_in_turn(pairs)
    assert outcomes(changes) == {NAMES[5]: "slower"}
    change = of(changes, NAMES[5])
    assert change.low < 1.2 < change.high


def test_pairs_find_less_than_stored_runs_do():
    pairs = [(made_run(n), made_run(n + 500, factors={NAMES[5]: 1.06})) for n in range(10)]
    assert outcomes(compared_in_turn(pairs)) == {NAMES[5]: "slower"}
    assert not outcomes(compared(*pairs[0]))


@pytest.mark.parametrize(("n", "most"), [(4, 1), pytest.param(10, 2, marks=pytest.mark.study)])
def test_equal_pairs_are_hardly_ever_flagged(n, most):
    flagged = 0
    for seed in range(n):
        # Of some benchmarks, whole runs differ by more than of others.
        shift = {name: 0.03 if number % 5 == 0 else 0.01 for number, name in enumerate(NAMES)}
        rows = [1000 * seed + n for n in range(6)]
        changes = compared_in_turn([(made_run(n, shift=shift), made_run(n + 500, shift=shift)) for n in rows])
        flagged += sum(change.outcome != "no clear change" for change in changes)
    # Of 40 comparisons each.
    assert flagged <= most


def test_pairs_of_few_rounds_tell_no_p95():
    changes = compared_in_turn(
        [(made_run(seed, n_rounds=20), made_run(seed + 9, n_rounds=20)) for seed in range(3)]
    )
    assert set(outcomes(changes, "p95").values()) == {"too few blocks"}
    assert not outcomes(changes, "p50")


def test_only_common_benchmarks_are_compared():
    base, here = made_run(0), made_run(1)
    part = base.model_copy(update={"benchmarks": {name: base.benchmarks[name] for name in NAMES[:5]}})
    assert {change.name for change in compared(part, here)} == set(NAMES[:5])
    other = base.model_copy(update={"benchmarks": {"other": base.benchmarks[NAMES[0]]}})
    with pytest.raises(DataError, match="no benchmark in common"):
        compared(other, here)


def test_two_pairs_are_too_few():
    with pytest.raises(DataError, match="2 pairs of runs show no noise: at least 3"):
        compared_in_turn([(made_run(0), made_run(1))] * 2)


def stored_document():
    seconds = np.arange(1, 61) * 1e-3
    row = {
        "fullname": NAMES[0],
        "stats": {"data": seconds.tolist()},
        "extra_info": {"per_round": 2, "speed_us": [90.0, 110.0], "interrupted_share": 0.5, "device": "cpu"},
    }
    several = {"fullname": "several in turn", "stats": {"data": [1.0]}, "extra_info": {}}
    machine = {"host": {"cpu": "x"}, "rounds_factor": 0.5, "no_device": ["c"]}
    return {
        "benchmarks": [row, several],
        "machine_info": machine,
        "commit_info": {"id": "abc", "dirty": True},
        "datetime": "2026-01-01T00:00:00+00:00",
    }


def test_a_stored_run_is_read(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(stored_document()))
    run = read_run(path)
    assert (run.host, run.rounds_factor, run.no_device) == ({"cpu": "x"}, 0.5, ("c",))
    assert (run.commit, run.dirty, run.time_utc) == ("abc", True, "2026-01-01T00:00:00+00:00")
    assert list(run.benchmarks) == NAMES[:1]
    timed = run.benchmarks[NAMES[0]]
    assert (timed.device, timed.p50_us, timed.p95_us, timed.interrupted_share) == ("cpu", 15250.0, None, 0.5)
    assert len(timed.blocks_us["p50"]) == 40
    assert timed.blocks_us["p50"][:2] == (750.0, 1750.0)
    assert timed.blocks_us["p95"] == pytest.approx((9525.0, 19520.0, 29520.0), rel=1e-3)
    expected = np.log(timed.blocks_us["p95"]) - np.log(90 * 110) / 2
    np.testing.assert_allclose(timed.logs("p95"), expected)
    assert Run.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": [{}]}', '{"benchmarks": [], "machine_info": {}}'])
def test_a_file_that_is_no_run_is_named(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"run\.json: no run of the benchmarks"):
        read_run(path)
    with pytest.raises(DataError, match="No such file"):
        read_run(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["cpu", "isa", "cuda_device", "python", "numpy", "torch", "compiler"])
def test_another_processor_or_version_is_another_machine(name):
    run = made_run(0)
    other = run.model_copy(update={"host": {**run.host, name: "other"}})
    assert other.fingerprint != run.fingerprint
    loaded = run.model_copy(update={"host": {**run.host, "load_average": 9.0}})
    assert loaded.fingerprint == run.fingerprint
