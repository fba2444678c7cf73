import json
import math

import numpy as np
import pytest

from comparison import ComparisonError, Measured, Run, compare_pairs, compare_runs, read_run

NAMES = [f"benches/bench_x.py::test_{number}" for number in range(20)]


def made_run(seed, *, factors=None, speed_us=100.0, n_rounds=400, noise=0.05, interrupted=None):
    """Return a run whose times are lognormal around 1 to 20 µs, a benchmark `factors[name]` times as long."""
    rng = np.random.default_rng(seed)
    benchmarks = {}
    for number, name in enumerate(NAMES):
        centre = (number + 1) * 1e-6 * (factors or {}).get(name, 1.0) * speed_us / 100.0
        # What slows down all rounds of a benchmark alike.
        centre *= math.exp(rng.normal(0, 0.01))
        speeds = speed_us * np.exp(rng.normal(0, 0.01, 2))
        seconds = centre * np.exp(rng.normal(0, noise, n_rounds))
        benchmarks[name] = Measured(seconds, speeds, (interrupted or {}).get(name, 0.0))
    return Run(benchmarks, {})


def verdicts(comparisons, quantile="p50"):
    return {one.name: one.changes[quantile].verdict for one in comparisons if one.changes[quantile].verdict}


def test_equal_runs_tell_nothing():
    run = made_run(0)
    comparisons = compare_runs(run, run)
    assert [one.changes["p50"].ratio for one in comparisons] == [1.0] * len(NAMES)
    assert not verdicts(comparisons)
    assert not verdicts(compare_pairs([(run, run)] * 3))


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_not_told_and_changes_are(seed):
    factors = {NAMES[3]: 1.5, NAMES[7]: 0.6}
    comparisons = compare_runs(made_run(seed), made_run(seed + 100, factors=factors))
    for quantile in ("p50", "p95"):
        assert verdicts(comparisons, quantile) == {NAMES[3]: "slower", NAMES[7]: "faster"}
    change = comparisons[3].changes["p50"]
    assert change.low < 1.5 < change.high
    assert change.low > 1.05


def test_a_machine_of_half_the_speed_is_no_change():
    comparisons = compare_runs(made_run(0), made_run(1, speed_us=200.0))
    assert comparisons[4].here_us == pytest.approx(2 * comparisons[4].base_us, rel=0.1)
    assert not verdicts(comparisons)


def test_bands_widen_where_all_benchmarks_scatter_between_runs():
    factors = {name: math.exp(shift) for name, shift in zip(NAMES, np.linspace(-0.2, 0.2, 20), strict=True)}
    assert not verdicts(compare_runs(made_run(0), made_run(1, factors=factors)))


def test_too_few_rounds_and_interrupted_ones_tell_nothing():
    factors = dict.fromkeys(NAMES, 3.0)
    short = compare_runs(made_run(0, n_rounds=100), made_run(1, n_rounds=100, factors=factors))
    assert set(verdicts(short, "p95").values()) == {"too few rounds"}
    assert short[0].changes["p95"].ratio == pytest.approx(3.0, rel=0.2)
    assert math.isnan(short[0].changes["p95"].low)
    shares = {NAMES[0]: 0.05, NAMES[1]: 0.5}
    disturbed = compare_runs(made_run(0), made_run(1, interrupted=shares))
    assert verdicts(disturbed, "p50") == {NAMES[1]: "interrupted"}
    assert verdicts(disturbed, "p95") == {NAMES[0]: "interrupted", NAMES[1]: "interrupted"}


def test_pairs_tell_changes_that_survive_their_scatter():
    factors = {NAMES[5]: 1.2}
    pairs = [(made_run(seed), made_run(seed + 50, factors=factors)) for seed in range(6)]
    comparisons = compare_pairs(pairs)
    assert verdicts(comparisons) == {NAMES[5]: "slower"}
    change = comparisons[5].changes["p50"]
    assert change.low < 1.2 < change.high


def test_pairs_of_few_rounds_tell_no_p95():
    comparisons = compare_pairs(
        [(made_run(seed, n_rounds=60), made_run(seed + 9, n_rounds=60)) for seed in range(3)]
    )
    assert set(verdicts(comparisons, "p95").values()) == {"too few rounds"}
    assert not verdicts(comparisons, "p50")


def test_only_common_benchmarks_are_compared():
    base, here = made_run(0), made_run(1)
    part = Run({name: base.benchmarks[name] for name in NAMES[:5]}, {})
    assert [one.name for one in compare_runs(part, here)] == NAMES[:5]
    with pytest.raises(ComparisonError, match="no benchmark in common"):
        compare_runs(Run({"other": base.benchmarks[NAMES[0]]}, {}), here)


def test_two_pairs_are_too_few():
    with pytest.raises(ComparisonError, match="2 pairs of runs tell no noise: at least 3"):
        compare_pairs([(made_run(0), made_run(1))] * 2)


def test_a_stored_run_is_read(tmp_path):
    row = {
        "fullname": NAMES[0],
        "stats": {"data": [2e-3, 4e-3]},
        "extra_info": {"per_round": 2, "machine_speed_us": [90.0, 110.0], "interrupted_share": 0.5},
    }
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"benchmarks": [row], "machine_info": {"host": {"cpu": "x"}}}))
    run = read_run(path)
    assert run.host == {"cpu": "x"}
    measured = run.benchmarks[NAMES[0]]
    assert measured.seconds.tolist() == [1e-3, 2e-3]
    assert measured.interrupted_share == 0.5
    assert measured.relative(0.5) == pytest.approx(math.log(1.5e-3) - math.log(90 * 110) / 2)


@pytest.mark.parametrize("text", ["", "[]", '{"benchmarks": [{}]}', '{"benchmarks": [], "machine_info": {}}'])
def test_what_is_no_run_is_named(text, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ComparisonError, match=r"run\.json: no run of the benchmarks"):
        read_run(path)
    with pytest.raises(ComparisonError, match=r"gone\.json: No such file"):
        read_run(tmp_path / "gone.json")
