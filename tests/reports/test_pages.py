"""Pages as a browser shows them: on a phone, and on a dark screen."""

import pytest

from browser import Browser, needs_chromium, wait_for
from cohorts import COHORT_CLASSES, COHORT_SETTINGS, cohort_table
from feasibility_documents import feasibility_record
from patchtst_har.records.cohort import Failure
from patchtst_har.records.search import SearchRecord, TrialRecord
from patchtst_har.records.stored_run import StoredRun
from patchtst_har.reports.cohort import render_cohort
from patchtst_har.reports.comparison import Comparison, write_comparison
from patchtst_har.reports.feasibility import render_feasibility
from patchtst_har.reports.prediction import render_prediction_report
from patchtst_har.reports.run import render_report
from patchtst_har.reports.search import write_search_report
from run_folders import write_run

LONG_NAME = "training.augmentation.forearm_rotation_deg"

pytestmark = [pytest.mark.draws]

LEAST_TEXT_PX = """Math.min(...[...document.querySelectorAll("svg text")]
  .filter((text) => text.textContent.trim() && text.getClientRects().length)
  .map((text) => {
    const matrix = text.getScreenCTM();
    return Math.hypot(matrix.a, matrix.b) * parseFloat(getComputedStyle(text).fontSize);
  }))"""
# Captions that are cut at an edge of the window.
CUT_CAPTIONS = """[...document.querySelectorAll("caption span")].filter((caption) => {
  const box = caption.getBoundingClientRect();
  return box.height > 0 && (box.left < 0 || box.right > window.innerWidth);
}).length"""
# Values beside their names: how narrow the narrowest is.
LEAST_VALUE_PX = """Math.min(1000, ...[...document.querySelectorAll("table.facts td")]
  .map((value) => value.getBoundingClientRect().width).filter((width) => width > 0))"""
SCROLL_ALL = 'document.querySelectorAll(".scroll").forEach((place) => { place.scrollLeft = 300; })'
# Whether a line says so wherever something is wider than its place, and nowhere else.
HINTS = """[...document.querySelectorAll(".scroll")].every((place) =>
  (place.scrollWidth > place.clientWidth) === (parseFloat(getComputedStyle(place, "::before").height) > 0))"""
WIDER = """[...document.querySelectorAll(".scroll")]
  .filter((place) => place.scrollWidth > place.clientWidth).length"""
WIDER_CHARTS = WIDER.replace(".scroll", ".chart")
# How light the page is, and the least difference of a text from it, also in pictures; but for what stands on
# the dark cells of a matrix.
CONTRAST = """(() => {
  const light = (colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0) / 765;
  const page = light(getComputedStyle(document.body).backgroundColor);
  const inks = [...document.querySelectorAll("h1, p, td, figcaption, svg text")]
    .filter((text) => text.getClientRects().length)
    .map((text) => getComputedStyle(text)[text.ownerSVGElement ? "fill" : "color"])
    .filter((colour) => colour !== "rgb(254, 254, 254)");
  return [page, Math.min(...inks.map((ink) => Math.abs(light(ink) - page)))];
})()"""


@pytest.fixture
def page(request, tmp_path, run_dir, timeline):
    """The address of a page."""
    if request.param == "run":
        return render_report(run_dir).as_uri()
    if request.param == "comparison":
        folders = [write_run(tmp_path / name, right=right) for name, right in (("a", 0.5), ("b", 0.8))]
        comparison = Comparison.of([StoredRun.open(folder) for folder in folders])
        return write_comparison(comparison, tmp_path / "c.html").as_uri()
    if request.param == "search":
        trials = tuple(
            TrialRecord(number=n, state="complete", score=n / 9, settings={LONG_NAME: n / 7})
            for n in range(9)
        )
        facts = {"n_trials": 9, "pruner": "none", "sampler_seed": 0, "n_seeds": 1, "n_epochs": 2}
        people = {"data": "processed", "data_fingerprint": "ab" * 32, "train": ("P1",), "val": ("P2",)}
        space, best = (
            {LONG_NAME: {"type": "float", "low": 0.0, "high": 2.0}},
            {"importance": {LONG_NAME: 1.0}},
        )
        record = SearchRecord(name="wide", space=space, trials=trials, best=8, **facts, **people, **best)
        return write_search_report(record, tmp_path / "s.html").as_uri()
    if request.param == "feasibility":
        return render_feasibility(feasibility_record(n=1400), tmp_path / "f.html").as_uri()
    if request.param == "cohort":
        links = ("recordings.csv", "failures.csv")
        failures = [Failure(recording="Q", source="/d/Q.csv", error="DataError", reason="no samples")]
        table, out = cohort_table(40), tmp_path / "c.html"
        return render_cohort(
            table, failures, out, settings=COHORT_SETTINGS, classes=COHORT_CLASSES, links=links
        ).as_uri()
    path = render_prediction_report(
        timeline, tmp_path / "p.html", recording_info={"name": "P1"}, model_info={"a": 1}
    )
    return path.as_uri()


@needs_chromium
@pytest.mark.parametrize(
    "page", ["run", "comparison", "feasibility", "prediction", "cohort", "search"], indirect=True
)
def test_a_page_can_be_read_on_a_phone_and_on_a_dark_screen(page, tmp_path, request):
    is_prediction = request.node.callspec.params["page"] == "prediction"
    browser = Browser(tmp_path / "profile", page)
    try:
        loaded = 'location.protocol === "file:" && document.readyState === "complete"'
        wait_for(lambda: browser.evaluate(loaded))
        browser.prefer("light")
        assert not browser.overflows(1280)
        light, contrast = browser.evaluate(CONTRAST)
        assert light > 0.95
        assert contrast > 0.2
        # Drawn with the next frame.
        wait_for(lambda: browser.evaluate(HINTS))
        browser.prefer("dark")
        dark, contrast = browser.evaluate(CONTRAST)
        assert dark < 0.15
        assert contrast > 0.2
        assert not browser.overflows(390)
        assert browser.evaluate(LEAST_VALUE_PX) > 150
        assert browser.evaluate(LEAST_TEXT_PX) >= 11
        # The pictures of a prediction are drawn for a phone.
        assert browser.evaluate(WIDER) > 2 or (is_prediction and browser.evaluate(WIDER_CHARTS) == 0)
        wait_for(lambda: browser.evaluate(HINTS))
        browser.evaluate(SCROLL_ALL)
        assert browser.evaluate(CUT_CAPTIONS) == 0
    finally:
        browser.close()
