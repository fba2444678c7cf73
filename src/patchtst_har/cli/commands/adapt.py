"""``patchtst-har adapt``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patchtst_har.cli import options
from patchtst_har.cli.console import label_map, out, start_logging, warn
from patchtst_har.cli.models import model_folder
from patchtst_har.cli.reading import reads_recordings
from patchtst_har.data.options import ReadOptions
from patchtst_har.errors import DataError
from patchtst_har.support.formatting import counted, listed, score

if TYPE_CHECKING:
    from patchtst_har.evaluation.adaptation import Gain


HELP = "Adapt a model to a person by annotated minutes: writes a file for --adaptation of other commands."


@reads_recordings
def run(
    model: options.ModelArgument,
    recording: Annotated[
        Path,
        typer.Option(
            help="Recording of the person, with annotations. Those that are no classes are left out."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "--out", help="File to write; NAME_adaptation.safetensors in this folder if left out."
        ),
    ] = None,
    labels: options.Labels = None,
    label_column: options.LabelColumn = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    units: options.Units = None,
    time_unit: options.TimeUnit = None,
    timezone: options.Timezone = None,
    strict: options.Strict = False,
    verbose: options.Verbose = False,
    *,
    reading: ReadOptions,
) -> None:
    """Run the command."""
    from patchtst_har.data import read_recording
    from patchtst_har.data.formats import recording_suffix
    from patchtst_har.data.units import SignalWarning
    from patchtst_har.evaluation.adaptation import gain_by_blocks
    from patchtst_har.evaluation.folder import met_in_training
    from patchtst_har.inference.label_file import adapted_to
    from patchtst_har.inference.labelled_windows import keep_classes, labelled_windows
    from patchtst_har.inference.recognizer import Recognizer
    from patchtst_har.support.files import check_writable

    start_logging(verbose)
    name = recording.name[: -len(recording_suffix(recording) or recording.suffix) or None]
    target = Path(f"{name}_adaptation.safetensors") if output is None else output
    if target.is_dir():
        raise DataError(f"{target}: is a folder, the name of a file is needed")
    if target.exists() and not overwrite:
        raise DataError(f"{target}: exists already; choose another file or pass --overwrite")
    check_writable(target.parent)
    mapping = label_map(labels, label_column)
    folder = model_folder(model)
    recognizer = Recognizer.from_pretrained(folder).in_zone(timezone)
    # Those of the file are in its facts.
    with warnings.catch_warnings(action="ignore", category=SignalWarning):
        samples, info = read_recording(
            recording, units=units, time_unit=time_unit, strict=strict, options=reading
        )
    warn(info["warnings"])
    if met_in_training(folder, [name]):
        known = f"{name} is the name of a person the model was trained on"
        warn([f"{known}: the gain says nothing of new people"])
    if mapping is not None:
        samples = mapping.apply(samples, str(recording))
    try:
        samples, others = keep_classes(samples, recognizer.classes)
        windows, names = labelled_windows(samples, recognizer.config)
        gain = gain_by_blocks(recognizer, windows, names)
        adapted = recognizer.adapt(windows.windows, names, windows.start_ns)
    except DataError as error:
        raise DataError(f"{recording}: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    path = adapted.save_adaptation(target)
    out.print(f"labelled:   {adapted_to(adapted)}", soft_wrap=True)
    if others:
        out.print(f"left out:   {listed(others)} (no classes of the model)", soft_wrap=True)
    unlabelled = [name for name in recognizer.classes if name not in names]
    if unlabelled:
        out.print(f"as trained: {', '.join(unlabelled)} (no labelled windows)", soft_wrap=True)
    for line in _lines(gain):
        out.print(line, soft_wrap=True)
    out.print(f"adaptation: {path}", soft_wrap=True)


def _lines(gain: Gain | None) -> list[str]:
    """Return what the adaptation brings on the person's own windows, and what that does not say."""
    if gain is None:
        return ["gain:       not known: too few windows to leave some of them out"]
    lines = [
        f"gain:       on {counted(gain.n_windows, 'window', 'windows')} left out in blocks of time, accuracy "
        f"{score(gain.accuracy_before)} as trained, {score(gain.accuracy_after)} adapted; macro F1 "
        f"{score(gain.macro_f1_before)} as trained, {score(gain.macro_f1_after)} adapted"
    ]
    if gain.single_bout:
        lines.append(
            f"            optimistic: labels and test are of one bout for {', '.join(gain.single_bout)}; "
            "another bout or day differs more, and adapting can do harm there: label every way of doing it"
        )
    return lines
