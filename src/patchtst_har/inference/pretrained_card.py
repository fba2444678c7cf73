"""The model card of a shipped model, written from the record next to its weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from patchtst_har.errors import ModelFolderError
from patchtst_har.inference.model_card import MODEL_CARD_FILE
from patchtst_har.model_folder import StoredModel, read_model_folder
from patchtst_har.pretrained import SUMMARY_FILE
from patchtst_har.records.pretrained import DecisionLatency, Judgement, PretrainedModel, TrainingData
from patchtst_har.records.run import ClassScores, Interval
from patchtst_har.support.files import atomic_write_json, atomic_write_text
from patchtst_har.support.formatting import NONE, counted, score


def write_pretrained_card(folder: Path, model: PretrainedModel) -> None:
    """Write ``summary.json`` and ``MODEL_CARD.md`` into a model folder that is going to be shipped.

    Parameters
    ----------
    folder : pathlib.Path
        The model folder, whose name is that of the model; weights, configuration and classes are there.
    model : PretrainedModel
        What is said of it.

    Raises
    ------
    ModelFolderError
        If the folder cannot be read, or holds a model with another name or other classes.
    """
    stored = read_model_folder(folder)
    if folder.name != model.name:
        raise ModelFolderError(f"{folder}: {SUMMARY_FILE} is of a model called {model.name}")
    if stored.classes != model.classes:
        has, says = (", ".join(names) for names in (stored.classes, model.classes))
        raise ModelFolderError(f"{folder}: has the classes {has}, {SUMMARY_FILE} says {says}")
    atomic_write_json(folder / SUMMARY_FILE, model.to_json())
    atomic_write_text(folder / MODEL_CARD_FILE, pretrained_card(model, stored))


def pretrained_card(model: PretrainedModel, stored: StoredModel) -> str:
    """Return the text of the card, Markdown.

    Parameters
    ----------
    model : PretrainedModel
        What is said of it.
    stored : StoredModel
        Its configuration.
    """
    parts = chain(
        _head(model, stored),
        _data(model),
        _scores(model),
        _calibration(model),
        _failures(model),
        _robustness(model),
        _latency(model),
        _making(model),
    )
    return "\n".join(parts) + "\n"


def _head(model: PretrainedModel, stored: StoredModel) -> Iterable[str]:
    data, used = stored.config.data, stored.config.model
    window_s, hop_s = (size / data.sample_rate_hz for size in (data.window_size, data.hop_size))
    features = [
        counted(n, f"{kind} feature", f"{kind} features")
        for kind, n in (("compiled", used.n_stat_features), ("topological", used.n_topo_features))
        if n
    ]
    yield f"# {model.name}\n\n{model.description}\n"
    if model.purpose == "labels":
        yield f"- **Gives** one of {len(model.classes)} classes: {', '.join(model.classes)}. Any other"
        yield "  movement also gets one of these labels."
    else:
        yield f"- **For fine-tuning** (`patchtst-har train --init {model.name}`). It gives no labels."
    yield "- **Takes** acceleration of one wrist: x, y, z in g, gravity included. Any rate is resampled to"
    yield f"  {data.sample_rate_hz:g} Hz; windows of {window_s:g} s, a decision every {hop_s:g} s."
    yield f"- **Is** a PatchTST encoder with rotary attention and {model.n_parameters:,} parameters; it gets"
    yield f"  {', '.join(['samples', *features])}."
    people, sets = counted(model.n_people, "person", "people"), ", ".join(part.name for part in model.data)
    yield f"- **Was trained on** {people}: {sets}."
    yield f"- **Licence**: {model.licence}"
    yield "- Not a medical device.\n"


def _data(model: PretrainedModel) -> Iterable[str]:
    yield "## Data\n"
    for part in model.data:
        yield from _data_set(part)


def _data_set(part: TrainingData) -> Iterable[str]:
    yield f"### {part.name}: {counted(part.n_people, 'person', 'people')}\n"
    yield f"- Recorded with: {part.recorded_with}."
    yield f"- Licence: {part.licence}, by {part.licence_source}."
    yield f"- Files: {part.source}."
    yield from (f"- Cite: {text}" for text in part.citations)
    yield ""
    rows = [(activity, name or "left out") for activity, name in part.class_map.items()]
    yield from _table(("activity as recorded", "class"), rows)


def _scores(model: PretrainedModel) -> Iterable[str]:
    judged = [*([model.cross_validated] if model.cross_validated else []), *model.judgements]
    if not judged:
        return
    yield "## Scores on people who did not train the judged model\n"
    yield "In brackets: 95 % intervals over people. F1 is of windows, pooled over people.\n"
    rows = [
        (
            one.name,
            one.kind,
            f"{one.n_people} / {one.n_windows:,}",
            one.smoothing,
            _bounded(one.macro_f1),
            NONE if one.accuracy is None else _bounded(one.accuracy),
            score(one.ece),
        )
        for one in judged
    ]
    heads = ("judged on", "kind", "people / windows", "smoothing", "macro F1", "accuracy", "ECE")
    yield from _table(heads, rows)
    for one in judged:
        yield from _details(one, model.classes)


def _details(one: Judgement, classes: Sequence[str]) -> Iterable[str]:
    """Return what is known of one judgement beyond its row: remark, seeds, baselines, classes, people."""
    if not (one.remark or one.per_seed or one.baselines or one.per_class or one.per_person):
        return
    yield f"### {one.name}\n"
    if one.remark:
        yield f"{one.remark}\n"
    if one.per_seed:
        seeds = ", ".join(f"{name}: {value:.3f}" for name, value in one.per_seed.items())
        yield f"Macro F1 by seed: {seeds}.\n"
    if one.baselines:
        rows = [(other.name, score(other.macro_f1), _signed(other.difference)) for other in one.baselines]
        yield from _table(("compared with", "its macro F1", "this model minus it"), rows)
    if one.per_class:
        places = {name: place for place, name in enumerate(classes)}
        ordered = sorted(one.per_class, key=lambda row: places.get(row.name, len(places)))
        yield from _table(("class", "precision", "recall", "F1", "windows"), map(_class_row, ordered))
    if one.per_person:
        yield from _people(one.per_person)


def _class_row(row: ClassScores) -> tuple[str, ...]:
    return row.name, score(row.precision), score(row.recall), score(row.f1), f"{row.support:,}"


def _people(per_person: dict[str, float]) -> Iterable[str]:
    values = np.array(list(per_person.values()))
    worst = min(per_person, key=lambda name: per_person[name])
    yield (
        f"Macro F1 by person: mean {values.mean():.3f}, median {np.median(values):.3f}, "
        f"worst {values.min():.3f} ({worst}), best {values.max():.3f}."
    )
    ordered = sorted(per_person.items(), key=lambda item: item[1])
    yield f"All, from the worst: {', '.join(f'{name} {value:.2f}' for name, value in ordered)}.\n"


def _calibration(model: PretrainedModel) -> Iterable[str]:
    if (fit := model.calibration) is None:
        return
    yield "## Calibration\n"
    people = counted(fit.n_people, "person", "people")
    yield f"The probabilities are calibrated by one temperature, {fit.temperature:.3f}, folded into the last"
    yield f"layer. It was fitted on {fit.fitted_on} ({people}). Expected calibration error:"
    yield f"{fit.ece_before:.3f} before, {fit.ece_after:.3f} after.\n"


def _failures(model: PretrainedModel) -> Iterable[str]:
    if model.known_failures:
        yield "## Where it fails\n"
        yield from _table(("when", "what happens"), [(one.when, one.what) for one in model.known_failures])


def _robustness(model: PretrainedModel) -> Iterable[str]:
    if model.robustness:
        yield "## Changed recordings\n"
        rows = [(one.change, score(one.macro_f1), f"{one.difference:+.3f}") for one in model.robustness]
        yield from _table(("change", "macro F1", "minus unchanged"), rows)


def _latency(model: PretrainedModel) -> Iterable[str]:
    if model.latency:
        yield "## Latency\n"
        yield "From the last sample of a window to its label, features and smoothing included.\n"
        rows = [
            (one.instruction_set, *(f"{ms:.3f}" for ms in (one.p50_ms, one.p95_ms)), *_where(one))
            for one in model.latency
        ]
        yield from _table(("instruction set", "p50, ms", "p95, ms", "machine", "date", "command"), rows)


def _where(one: DecisionLatency) -> tuple[str, ...]:
    return one.machine, one.date, f"`{one.command}`"


def _making(model: PretrainedModel) -> Iterable[str]:
    yield "## How it was made\n"
    seeds = ", ".join(map(str, model.seeds))
    yield f"`{model.made_with}` with patchtst-har {model.package_version}, seeds {seeds}."


def _bounded(value: Interval) -> str:
    bounds = "" if value.low is None or value.high is None else f" ({value.low:.3f} to {value.high:.3f})"
    return score(value.estimate) + bounds


def _signed(value: Interval | None) -> str:
    if value is None or value.estimate is None:
        return NONE
    bounds = "" if value.low is None or value.high is None else f" ({value.low:+.3f} to {value.high:+.3f})"
    return f"{value.estimate:+.3f}{bounds}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    yield ""
