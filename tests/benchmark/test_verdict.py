"""Verdicts on measurements whose outcome is known."""

import re

import pytest

from feasibility_documents import measured, measured_document
from patchtst_har.benchmark.budget import Budget, Target
from patchtst_har.benchmark.feasibility import settings_for
from patchtst_har.benchmark.verdict import _memory, judge
from patchtst_har.records.measurement import Devices, Measured, Unmeasured

CUDA = Unmeasured(device="cuda", status="no device")


@pytest.fixture(scope="module")
def normal():
    return measured()


@pytest.fixture
def document():
    return measured_document()


def verdict_of(target, device, cores=4):
    return judge(target, Devices(cpu=device, cuda=CUDA), cores)


def with_times(document, name, *, percentile, value, bounds, largest=None):
    """Set one percentile of one workload's closed loop."""
    times = document["workloads"][name]["closed_loop"]["end_to_end"]
    times[f"{percentile}_us"], times["bounds"][percentile] = value, bounds
    times["max_us"] = largest or times["max_us"]
    return Measured.model_validate(document)


def test_a_bound_below_the_deadline_is_feasible(normal):
    judged = verdict_of(Target(name="a", deadline_s=0.01), normal)
    assert judged.verdict == "feasible"
    high = max(w.closed_loop.end_to_end.bounds["p99"][1] for w in normal.workloads.values())
    # A rest makes it 1.5 times as long.
    assert judged.margin == pytest.approx(10_000 / high / 1.5)
    assert judged.deadline_s == 0.01


@pytest.mark.parametrize(
    ("bounds", "verdict", "words"),
    [
        ([700.0, 990.0], "feasible", "at most 990 µs with 99 % confidence, against 1 ms."),
        ([700.0, 1000.0], "feasible", "against 1 ms."),
        ([700.0, 1001.0], "undecided", "the bounds lie on both sides"),
        ([1000.0, 1500.0], "undecided", "the bounds lie on both sides"),
        ([1001.0, 1500.0], "not feasible", "p99 is at least 1 ms against 1 ms."),
        (None, "undecided", "too few for an upper bound of p99"),
    ],
)
def test_the_bounds_decide_and_not_the_estimate(document, bounds, verdict, words):
    document["workloads"]["walking"]["rested"]["ratio_of_medians"] = 1.0
    device = with_times(document, "walking", percentile="p99", value=950.0, bounds=bounds)
    judged = verdict_of(Target(name="a", deadline_s=0.001, workloads=("walking",)), device)
    assert judged.verdict == verdict
    assert words in " ".join(judged.reasons)


def test_a_sample_too_small_for_the_percentile_decides_nothing():
    few = measured(n=500)
    judged = verdict_of(Target(name="a", percentile="p99"), few)
    assert judged.verdict == "undecided"
    assert re.search(r"500 decisions, too few for p99 \(at least 662\)", judged.reasons[0])
    assert verdict_of(Target(name="a", percentile="p95"), few).verdict == "feasible"


def test_the_worst_workload_decides(document):
    device = with_times(document, "noisy", percentile="p99", value=5e6, bounds=[4e6, 6e6])
    judged = verdict_of(Target(name="a"), device)
    assert judged.verdict == "not feasible"
    assert judged.reasons[0].startswith("noisy, one stream")
    assert verdict_of(Target(name="a", workloads=("still", "walking")), device).verdict == "feasible"


def test_the_largest_of_many_has_to_keep_the_deadline(document):
    target = Target(name="a", percentile="max", deadline_s=0.5)
    judged = verdict_of(target, Measured.model_validate(document))
    assert judged.verdict == "feasible"
    assert "fewer than 0.00043 of all decisions miss the hop" in judged.reasons[0]
    late = with_times(document, "still", percentile="p99", value=1.0, bounds=[1.0, 1.0], largest=600_000.0)
    assert verdict_of(target, late).verdict == "not feasible"
    assert verdict_of(target, measured(n=5000)).verdict == "undecided"


def test_a_stream_that_falls_behind_on_average_is_not_feasible(document):
    document["workloads"]["still"]["closed_loop"]["real_time_factor"] = 1.2
    judged = verdict_of(Target(name="a", percentile="p95"), Measured.model_validate(document))
    assert judged.verdict == "not feasible"
    assert "a decision takes 1.2 hops on average" in judged.reasons[0]


def test_without_a_device_there_is_no_verdict(normal):
    judged = verdict_of(Target(name="a", device="cuda"), normal)
    assert (judged.verdict, judged.margin) == ("not measured", None)
    assert judged.reasons == ("CUDA: no device.",)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (Target(name="a", hop_s=0.5), "Measured at a hop of 1 s, the target's is 0.5 s."),
        (Target(name="a", workloads=("still", "rowing")), "Workload 'rowing' was not measured."),
    ],
)
def test_what_was_not_measured_is_not_guessed(normal, target, reason):
    judged = verdict_of(target, normal)
    assert (judged.verdict, judged.reasons) == ("not measured", (reason,))


@pytest.mark.parametrize(
    ("allowed_s", "verdict"), [(0.0, "not feasible"), (1.9, "not feasible"), (2.0, "feasible")]
)
def test_smoothing_must_not_wait_longer_than_allowed(allowed_s, verdict):
    waiting = measured(smoothing="lag:2")
    judged = verdict_of(Target(name="a", smoothing_lag_s=allowed_s), waiting)
    assert judged.verdict == verdict


@pytest.mark.parametrize(
    ("streams", "verdict"), [(2, "feasible"), (500, "feasible"), (501, "undecided"), (2000, "undecided")]
)
def test_many_streams_are_judged_up_to_the_number_that_ran(normal, streams, verdict):
    judged = verdict_of(Target(name="a", streams=streams), normal)
    assert judged.verdict == verdict
    assert "worst_case, 500 streams on one core" in judged.reasons[0]


def test_fewer_streams_than_failed_are_undecided_and_as_many_fail(document):
    times = document["open_loop"]["from_schedule"]
    times["p99_us"], times["bounds"]["p99"] = 1.5e6, [1.2e6, 1.8e6]
    device = Measured.model_validate(document)
    assert verdict_of(Target(name="a", streams=100), device).verdict == "undecided"
    assert verdict_of(Target(name="a", streams=500), device).verdict == "not feasible"
    assert verdict_of(Target(name="a", streams=900), device).verdict == "not feasible"


def test_a_core_with_more_work_than_time_fails_whatever_the_percentiles(document):
    document["open_loop"]["utilisation"] = 1.05
    judged = verdict_of(Target(name="a", streams=500), Measured.model_validate(document))
    assert judged.verdict == "not feasible"
    assert "the work takes 1.05 of the time" in judged.reasons[0]


def test_many_streams_of_an_easy_movement_say_nothing_of_a_hard_one(document):
    document["open_loop"]["workload"] = "still"
    device = Measured.model_validate(document)
    judged = verdict_of(Target(name="a", streams=500), device)
    assert judged.verdict == "undecided"
    assert "worst_case takes 1.8 times as long at the median" in judged.reasons[0]
    assert verdict_of(Target(name="a", streams=500, workloads=("still",)), device).verdict == "feasible"


def test_linear_scaling_over_cores_is_called_an_assumption(normal):
    judged = verdict_of(Target(name="a", streams=2000, cores=4), normal)
    assert judged.verdict == "feasible"
    assert "is an assumption" in " ".join(judged.reasons)


@pytest.mark.parametrize(("cores", "known"), [(2, "2"), (None, "an unknown number of")])
def test_cores_that_the_host_lacks_decide_nothing(normal, cores, known):
    judged = verdict_of(Target(name="a", streams=2000, cores=4), normal, cores)
    assert judged.verdict == "undecided"
    assert f"4 cores are asked for, this host lets the process use {known}." in judged.reasons


@pytest.mark.parametrize(
    ("memory_mb", "streams", "cores", "verdict", "margin"),
    [
        (61, 1, 1, "not feasible", 61 / 62),
        (62, 1, 1, "feasible", 1.0),
        (123, 2, 2, "not feasible", 123 / 124),
        (89, 500, 1, "not feasible", 89 / 90),
        (90, 500, 1, "feasible", 1.0),
        (180, 1000, 2, "feasible", 1.0),
        # 500 streams ran: too much for them decides nothing for 100, too much for one does.
        (89, 100, 1, "undecided", 89 / 90),
        (61, 100, 1, "not feasible", 61 / 62),
        # What fewer streams need is no promise for more.
        (90, 501, 1, "undecided", 1.0),
        (89, 501, 1, "not feasible", 89 / 90),
    ],
)
def test_the_peak_of_all_processes_must_fit(normal, memory_mb, streams, cores, verdict, margin):
    target = Target(name="a", memory_mb=memory_mb, streams=streams, cores=cores)
    (check,) = _memory(target, normal)
    assert (check.outcome, check.margin) == (verdict, pytest.approx(margin))
    assert "MiB of resident memory against" in check.reason


def test_the_measuring_process_is_no_measure_of_memory(document):
    """It has loaded what no stream needs: 174 MiB here."""
    judged = verdict_of(Target(name="a", memory_mb=128), Measured.model_validate(document))
    assert judged.verdict == "feasible"
    document["memory"]["of_streams"] = []
    judged = verdict_of(Target(name="a", memory_mb=1000), Measured.model_validate(document))
    assert judged.verdict == "not measured"


@pytest.mark.parametrize(
    ("ratio", "deadline_us", "verdict", "words"),
    [
        (2.0, 1001.0, "feasible", "it takes 2 times as long: that is in time, too."),
        (2.0, 999.0, "undecided", "then it may not be in time"),
        (0.5, 500.0, "feasible", "it takes 1 times as long"),
    ],
)
def test_a_deadline_that_only_warm_caches_keep_is_not_kept(document, ratio, deadline_us, verdict, words):
    document["workloads"]["walking"]["rested"]["ratio_of_medians"] = ratio
    device = with_times(document, "walking", percentile="p99", value=450.0, bounds=[400.0, 500.0])
    judged = verdict_of(Target(name="a", deadline_s=deadline_us / 1e6, workloads=("walking",)), device)
    assert judged.verdict == verdict
    assert words in judged.reasons[0]
    assert judged.margin == pytest.approx(deadline_us / 500 / max(ratio, 1))


def test_a_median_after_a_rest_beyond_the_deadline_is_not_feasible(document):
    times = document["workloads"]["walking"]["rested"]["times"]
    times["bounds"]["p50"] = [1001.0, 1200.0]
    device = with_times(document, "walking", percentile="p99", value=450.0, bounds=[400.0, 500.0])
    judged = verdict_of(Target(name="a", deadline_s=0.001, workloads=("walking",)), device)
    assert judged.verdict == "not feasible"
    assert "the median is at least 1 ms" in judged.reasons[0]


def test_without_a_rest_measured_nothing_is_called_feasible(document):
    document["workloads"]["walking"]["rested"] = None
    device = Measured.model_validate(document)
    assert verdict_of(Target(name="a", workloads=("walking",)), device).verdict == "undecided"
    assert verdict_of(Target(name="a", workloads=("still",)), device).verdict == "feasible"


def test_one_failed_requirement_outweighs_the_others():
    judged = verdict_of(Target(name="a", memory_mb=50, percentile="p99_9"), measured(n=2000))
    assert judged.verdict == "not feasible"
    assert any("too few for p99.9" in reason for reason in judged.reasons)


BUSY = "it waited for a core for 30 % of its time"


def test_on_a_busy_machine_a_latency_that_fails_is_undecided(document):
    device = with_times(document, "noisy", percentile="p99", value=5e6, bounds=[4e6, 6e6])
    judged = judge(Target(name="a"), Devices(cpu=device, cuda=CUDA), 4, busy=BUSY)
    assert (judged.verdict, judged.outcome) == ("undecided", "undecided (busy)")
    assert "p99 is at least 4 s" in judged.reasons[0]
    assert f"The machine was busy ({BUSY}): measure again when it is quiet." in judged.reasons[0]
    assert judged.margin == pytest.approx(0.25)


def test_what_others_cannot_have_done_is_decided_on_a_busy_machine(document, normal):
    devices = Devices(cpu=normal, cuda=CUDA)
    easy = judge(Target(name="a"), devices, 4, busy=BUSY)
    assert easy == judge(Target(name="a"), devices, 4)
    assert easy.outcome == "feasible"
    slow = Devices(
        cpu=with_times(document, "still", percentile="p99", value=5e6, bounds=[4e6, 6e6]), cuda=CUDA
    )
    both = judge(Target(name="a", memory_mb=10), slow, 4, busy=BUSY)
    assert (both.outcome, both.busy) == ("not feasible", False)
    assert "MiB of resident memory" in both.reasons[0]
    assert "measure again" in both.reasons[1]


def test_many_streams_are_undecided_on_a_busy_machine(document):
    document["open_loop"]["utilisation"] = 1.05
    devices = Devices(cpu=Measured.model_validate(document), cuda=CUDA)
    assert judge(Target(name="a", streams=500), devices, 4, busy=BUSY).outcome == "undecided (busy)"


def test_the_reason_that_decides_stands_first(normal):
    judged = verdict_of(Target(name="a", memory_mb=50), normal)
    assert judged.verdict == "not feasible"
    assert "against 50 MiB" in judged.reasons[0]
    assert "that is in time, too" in judged.reasons[1]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (Target(name="a", percentile="p99_9"), True),
        (Target(name="a", percentile="max"), True),
        (Target(name="a", streams=500), True),
        # 4 x 60 decisions at most: more of the same would not do.
        (Target(name="a", streams=4), False),
        (Target(name="a", percentile="p95"), False),
    ],
)
@pytest.mark.parametrize("busy", [None, BUSY])
@pytest.mark.slow
def test_a_shortened_run_says_how_to_decide_what_it_cannot(target, told, busy):
    few = measured(n=200, n_streams=target.streams)
    times = few.open_loop.from_schedule.model_copy(update={"n": 40, "p99_us": None, "bounds": {}})
    few = few.model_copy(update={"open_loop": few.open_loop.model_copy(update={"from_schedule": times})})
    whole = settings_for(Budget(targets=(target,)))
    judged = judge(target, Devices(cpu=few, cuda=CUDA), 4, busy=busy, whole=whole)
    assert ("Run without --quick to decide it." in judged.reasons[0]) == told
    assert judged.outcome == ("feasible" if target.percentile == "p95" else "undecided")
