"""Comparison with a saved run, on simulated machines whose speed drifts and that others disturb."""

import json

import numpy as np
import pytest

from feasibility_documents import HOST, feasibility_document, feasibility_record, measured_document
from patchtst_har.benchmark.changes import THRESHOLD
from patchtst_har.benchmark.compare import compare, read_saved, refuse_other_subject
from patchtst_har.errors import DataError
from patchtst_har.records.feasibility import FeasibilityRecord
from patchtst_har.records.measurement import Measured
from patchtst_har.reports.feasibility import render_feasibility

pytestmark = pytest.mark.slow

N_BLOCKS = 40
N_SIMULATIONS = 200
MEDIANS = {"still": 260.0, "walking": 310.0, "noisy": 330.0, "worst_case": 480.0}


@pytest.fixture(scope="module")
def template():
    return measured_document(n_blocks=N_BLOCKS)


def simulate(template, rng, *, noise=0.08, speed=1.0, slower=()):
    """Return a run: the machine's speed drifts, blocks are noisy, some are disturbed by others.

    The calibration feels the machine's speed and little of the disturbances; `slower` are workloads that take
    15 % longer.
    """
    workloads = {}
    for name, median in MEDIANS.items():
        drift = speed * np.exp(np.cumsum(rng.normal(0, 0.03, N_BLOCKS)))
        disturbed = np.where(rng.random(N_BLOCKS) < 0.15, rng.exponential(0.5, N_BLOCKS), 0)
        factor = drift * np.exp(rng.normal(0, noise, N_BLOCKS) + disturbed) * (1.15 if name in slower else 1)
        calibration = 40 * drift * np.exp(rng.normal(0, 0.02, N_BLOCKS))
        blocks = [
            {
                "p50_us": median * f,
                "p95_us": 1.1 * median * f * np.exp(rng.normal(0, 0.05)),
                "calibration_us": c,
            }
            for f, c in zip(factor, calibration, strict=True)
        ]
        loop = {**template["workloads"][name]["closed_loop"], "blocks": blocks}
        workloads[name] = {**template["workloads"][name], "closed_loop": loop}
    return Measured.model_validate({**template, "workloads": workloads})


@pytest.fixture(scope="module")
def saved_record():
    return feasibility_record()


def with_cpu(record, run):
    return record.model_copy(update={"devices": record.devices.model_copy(update={"cpu": run})})


@pytest.fixture(scope="module")
def against(saved_record):
    """Compare two simulated runs on one host."""

    def compared(before, now):
        records = [with_cpu(saved_record, run) for run in (before, now)]
        return compare(*records, "before.json")

    return compared


def outcomes(comparison):
    return {(change.name, change.percentile): change.outcome for change in comparison.changes}


def test_the_same_code_twice_is_hardly_ever_flagged(template, against):
    rng = np.random.default_rng(1)
    flagged = 0
    for _ in range(N_SIMULATIONS):
        comparison = against(simulate(template, rng), simulate(template, rng))
        assert len(comparison.changes) == 2 * len(MEDIANS)
        flagged += bool(comparison.regressions + comparison.improvements)
    # If 1 % of the runs were flagged, 7 of 200 or more would have a probability of 1 in 200.
    assert flagged < 7


def test_a_slower_workload_is_found_and_no_other_is(template, against):
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(40):
        before = simulate(template, rng, noise=0.04)
        comparison = against(before, simulate(template, rng, noise=0.04, slower=("noisy",)))
        outcome = outcomes(comparison)
        found += "slower" in (outcome["noisy", "p50"], outcome["noisy", "p95"])
        others = {value for (name, _), value in outcome.items() if name != "noisy"}
        assert others == {"no clear change"}
    assert found >= 32


def test_a_faster_workload_is_found(template, against):
    rng = np.random.default_rng(3)
    before = simulate(template, rng, noise=0.02, slower=MEDIANS)
    comparison = against(before, simulate(template, rng, noise=0.02))
    assert comparison.regressions == 0
    assert comparison.improvements >= len(MEDIANS)
    for change in comparison.changes:
        assert change.low < 1 / 1.15 < change.high, change


@pytest.mark.parametrize("speed", [1.3, 0.6])
def test_a_machine_that_is_slower_or_faster_as_a_whole_is_not_flagged(template, against, speed):
    rng = np.random.default_rng(4)
    for _ in range(20):
        comparison = against(simulate(template, rng), simulate(template, rng, speed=speed))
        assert comparison.regressions + comparison.improvements == 0


def test_a_change_below_the_threshold_is_not_flagged_however_sure(template, against):
    rng = np.random.default_rng(5)
    before = simulate(template, rng)
    document = before.model_dump()
    for workload in document["workloads"].values():
        for block in workload["closed_loop"]["blocks"]:
            block["p50_us"] *= 1 + THRESHOLD / 2
    comparison = against(before, Measured.model_validate(document))
    medians = [change for change in comparison.changes if change.percentile == "p50"]
    assert all(change.p_adjusted < 0.05 for change in medians)
    assert {change.outcome for change in comparison.changes} == {"no clear change"}


def test_a_change_far_above_the_threshold_is_flagged(template, against):
    rng = np.random.default_rng(6)
    before = simulate(template, rng)
    document = before.model_dump()
    for block in document["workloads"]["still"]["closed_loop"]["blocks"]:
        block["p95_us"] *= 1.5
    outcome = outcomes(against(before, Measured.model_validate(document)))
    assert outcome.pop(("still", "p95")) == "slower"
    assert set(outcome.values()) == {"no clear change"}


def test_few_blocks_are_too_few_and_say_so(template, against):
    rng = np.random.default_rng(7)
    document = simulate(template, rng).model_dump()
    for workload in document["workloads"].values():
        workload["closed_loop"]["blocks"] = workload["closed_loop"]["blocks"][:7]
    document["settings"]["n_blocks"] = 7
    few = Measured.model_validate(document)
    for workload in document["workloads"].values():
        for block in workload["closed_loop"]["blocks"]:
            block["p50_us"] *= 3
    comparison = against(few, Measured.model_validate(document))
    assert {change.outcome for change in comparison.changes} == {"too few blocks"}


def test_blocks_without_a_p95_are_compared_by_their_median(template, against):
    rng = np.random.default_rng(8)
    document = simulate(template, rng).model_dump()
    document["workloads"]["still"]["closed_loop"]["blocks"][3]["p95_us"] = None
    now = Measured.model_validate(document)
    pairs = set(outcomes(against(now, now)))
    assert ("still", "p50") in pairs
    assert ("still", "p95") not in pairs


def test_workloads_of_one_run_alone_are_named(template, against):
    rng = np.random.default_rng(9)
    before = simulate(template, rng)
    document = before.model_dump()
    document["workloads"]["recorded"] = document["workloads"].pop("still")
    comparison = against(before, Measured.model_validate(document))
    assert comparison.missing == ("recorded", "still")


def test_another_host_is_said_to_be_another(saved_record):
    host = {**HOST, "cpu": "Other CPU", "load_average": 0.2}
    comparison = compare(saved_record, saved_record.model_copy(update={"host": host}), "before.json")
    assert comparison.warnings == ("cpu was Example CPU, is Other CPU",)
    assert compare(saved_record, saved_record, "before.json").warnings == ()


@pytest.mark.parametrize("which", [0, 1])
def test_of_a_busy_machine_only_medians_are_compared(saved_record, which):
    runs = [saved_record, saved_record]
    runs[which] = saved_record.model_copy(update={"host": {**HOST, "load_average": 7.0}})
    comparison = compare(*runs, "before.json")
    assert {change.percentile for change in comparison.changes} == {"p50"}
    assert comparison.warnings == ("the machine was busy in one of the runs, so only medians are compared",)


def test_another_recording_is_not_compared(saved_record):
    samples = {**saved_record.samples, "recorded": "of somebody else"}
    comparison = compare(saved_record, saved_record.model_copy(update={"samples": samples}), "before.json")
    assert comparison.missing == ("recorded",)
    assert {change.name for change in comparison.changes} == {*MEDIANS}


def test_other_work_is_refused_with_everything_that_differs(saved_record):
    settings = saved_record.devices.cpu.settings
    fingerprint = saved_record.artefact.fingerprint
    refuse_other_subject(saved_record, fingerprint, settings.replace(open_loop_s=99.0))
    with pytest.raises(DataError) as caught:
        refuse_other_subject(saved_record, "other", settings.replace(hop_s=0.5, smoothing="none"))
    for part in (
        "the model is another one (fingerprint 3f9a3f9a3f9a",
        "hop_s was 1.0, is 0.5",
        "smoothing was None, is none",
    ):
        assert part in str(caught.value)


def test_a_run_in_two_blocks_cannot_be_compared():
    saved = feasibility_record(n_blocks=2)
    settings = saved.devices.cpu.settings
    with pytest.raises(DataError, match="n_blocks is 2, at least 3 are needed"):
        refuse_other_subject(saved, saved.artefact.fingerprint, settings)


def test_a_saved_report_is_read_by_its_folder_or_its_name(tmp_path):
    document = feasibility_document()
    path = tmp_path / "feasibility.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_saved(tmp_path) == read_saved(path) == FeasibilityRecord.model_validate(document)


def test_a_report_of_an_earlier_version_can_be_compared_with(tmp_path):
    document = feasibility_document()
    now = FeasibilityRecord.model_validate(document)
    compared = compare(now, now, "before.json").model_dump(mode="json")
    for change in compared["changes"]:
        change["workload"], change["p_holm"] = change.pop("name"), change.pop("p_adjusted")
    document["comparison"] = compared
    cpu = document["devices"]["cpu"]
    for name in ("n_rested", "rest_s"):
        del cpu["settings"][name]
    for workload in cpu["workloads"].values():
        del workload["rested"]
    for name in ("peak_rss_mb", "n_processes"):
        del cpu["cold_start"][name]
    (tmp_path / "feasibility.json").write_text(json.dumps(document), encoding="utf-8")
    saved = read_saved(tmp_path)
    settings = saved.devices.cpu.settings
    assert (settings.n_rested, settings.rest_s) == (0, None)
    refuse_other_subject(saved, now.artefact.fingerprint, now.devices.cpu.settings)
    assert compare(saved, now, "before.json").changes == compare(now, now, "before.json").changes
    assert {change.name for change in saved.comparison.changes} == {*MEDIANS, "recorded"}
    page = render_feasibility(saved, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "not measured" in page


def test_keys_of_a_later_version_are_ignored(tmp_path):
    document = feasibility_document()
    cpu = document["devices"]["cpu"]
    for part in (document, cpu, cpu["settings"], cpu["cold_start"], document["targets"][0]):
        part["of_a_later_version"] = 1
    (tmp_path / "feasibility.json").write_text(json.dumps(document), encoding="utf-8")
    assert read_saved(tmp_path) == FeasibilityRecord.model_validate(feasibility_document())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such saved report"),
        ("{", "not JSON"),
        ("{}", "format: Field required"),
        ('{"format": 2}', "format: Input should be 1"),
    ],
)
def test_a_damaged_saved_report_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "feasibility.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_saved(tmp_path)
    assert message in str(caught.value)
    assert "feasibility.json" in str(caught.value)
