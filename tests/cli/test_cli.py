"""The command line as its users meet it: what it prints, what it leaves, how it fails."""

import errno
import html
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from importlib.metadata import entry_points

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from rich.progress import Progress

import patchtst_har
from experiments import small_config
from patchtst_har import cli as cli_module
from patchtst_har.cli import app, console, main
from patchtst_har.config import DataConfig, TrainingConfig
from patchtst_har.data import write_recording
from patchtst_har.errors import DataError
from patchtst_har.records.run import Ablation, AblationArm, Interval, Intervals
from patchtst_har.support import process_memory
from patchtst_har.support.log import close_logging
from patchtst_har.synthetic import recording as make_recording
from patchtst_har.training.processes import Processes

pytestmark = pytest.mark.slow


@pytest.fixture
def recordings(tmp_path):
    """Six annotated recordings, two minutes each."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    bouts = (("sitting", 40.0), ("walking", 40.0), ("running", 40.0))
    for number in range(6):
        write_recording(folder / f"P{number:02d}.csv", make_recording(bouts=bouts, seed=number))
    return folder


def error_of(result: tuple[int, str, str]) -> str:
    """Check that a user's mistake ended as it should, and return the one line."""
    status, out, err = result
    assert status == 2, err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("patchtst-har: error:")]
    assert len(lines) == 1, err
    assert not out
    assert not err.startswith("\n")
    return lines[0]


def test_the_console_script_is_this_function():
    (script,) = entry_points(group="console_scripts", name="patchtst-har")
    assert script.load() is main


@pytest.mark.trains
@pytest.mark.long
def test_from_recordings_to_labels(cli, recordings, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        f"experiment_name: first\noutput_dir: {tmp_path / 'runs'}\n"
        f"data: {{proc_dir: {tmp_path / 'processed'}, hop_size: 500, train_n: 3, val_n: 1}}\n"
        "model: {n_time_features: 0}\n"
    )
    status, out, err = cli("prepare", recordings, "--out", tmp_path / "processed", "--config", config)
    assert status == 0, err
    assert "6 participants, classes: running, sitting, walking" in out
    assert "windows: running 48, sitting 48, walking 42" in out

    options = ("--set", "training.epochs=4", "-s", "training.lr=0.003")
    status, out, err = cli("train", "--config", config, *options)
    assert status == 0, err
    run = tmp_path / "runs" / "first"
    assert "final_macro_f1" in out
    assert (run / "report.html").stat().st_size > 10_000
    compared = json.loads((run / "baselines.json").read_text())["baselines"]
    assert [*compared][-1] == "MiniRocket and ridge"
    assert len(compared) == 4
    assert "epochs: 4" in (run / "config.yaml").read_text()
    latency = json.loads((run / "latency.json").read_text())
    assert latency["closed_loop"]["end_to_end"]["p99_us"] > latency["closed_loop"]["end_to_end"]["p50_us"] > 0
    assert json.loads((run / "complexity.json").read_text())["flops"] > 1e6

    status, out, err = cli(
        "evaluate", tmp_path / "processed", "--model", run / "model", "--out", tmp_path / "scores"
    )
    assert status == 0, err
    assert "names of people the model was trained on" in err
    assert len(pd.read_csv(tmp_path / "scores" / "predictions.csv")) == 6 * 23

    recording = recordings / "P03.csv"
    status, out, err = cli("predict", recording, "--model", run / "model", "--out", tmp_path / "labels")
    assert status == 0, err
    labels = pd.read_csv(tmp_path / "labels" / "P03_labels.csv", parse_dates=["start", "end"])
    assert list(labels.columns) == ["start", "end", "label", "probability"]
    assert (labels["end"].iloc[-1] - labels["start"].iloc[0]).total_seconds() == pytest.approx(120)
    assert (tmp_path / "labels" / "P03_timeline.svg").read_text().lstrip().startswith(("<svg", "<?xml"))
    assert "P03" in (tmp_path / "labels" / "P03_report.html").read_text()

    (run / "report.html").unlink()
    status, out, _ = cli("report", run)
    assert status == 0
    assert (run / "report.html").exists()

    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    finished = "first: already finished; --overwrite trains it again"
    assert finished in error_of(cli("train", "--config", config, *options))
    status, out, err = cli("train", "--config", config, *options, "--resume")
    assert status == 0, err
    assert finished in out
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    other = error_of(cli("train", "--config", config, "--resume"))
    assert "holds a finished run of another configuration" in other
    options = ("--set", "training.epochs=1", "--overwrite", "--baselines", "none")
    status, out, err = cli("train", "--config", config, *options)
    assert status == 0, err
    assert "epochs: 1" in (run / "config.yaml").read_text()
    assert not (run / "baselines.json").exists()


def test_help_tells_a_stranger_what_there_is(cli):
    status, out, _ = cli("--help")
    assert status == 0
    for name in ("demo", "prepare", "train", "evaluate", "predict", "report", "info", "runs", "tune"):
        assert name in out
        status, text, _ = cli(name, "--help")
        assert status == 0
        assert "Usage: patchtst-har " + name in text


def test_info_lists_versions(cli):
    status, out, _ = cli("info", "--json")
    facts = json.loads(out)
    assert status == 0
    assert {"patchtst_har", "python", "torch", "numpy", "cpu", "n_cores", "cuda"} <= set(facts)
    assert set(facts["plugins"]) >= {"hjorth", "jerk_rms", "sample_entropy"}
    table = cli("info")[1]
    assert facts["patchtst_har"] in table
    assert "plug-in hjorth" in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--set", "training.epochs=0"],
            "training.epochs: Input should be greater than or equal to 1 (got 0)",
        ),
        (["--set", "training.epoch=5"], "training.epoch: unknown key"),
        (["--set", "epochs"], "--set 'epochs': needs the form section.field=value"),
        (["--config", "absent.yaml"], "absent.yaml"),
        (["--set", "model.d_model=57"], "d_model (57) must be divisible by n_heads (2)"),
        (["--set", "data.proc_dir=absent"], "absent"),
    ],
)
def test_configuration_mistakes_are_one_line(cli, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(cli("train", *options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "standard output: No space left on device"),
        (MemoryError("Unable to allocate 1 PiB"), "not enough memory (Unable to allocate 1 PiB)"),
        (DataError("a.csv: " + "x" * 10**6), "a.csv: " + "x" * 1993 + "..."),
    ],
)
def test_errors_of_any_kind_are_one_short_line(monkeypatch, capsys, error, message):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli_module, "app", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"patchtst-har: error: {message}\n"


def test_any_error_without_memory_is_one_of_memory_and_else_a_bug(monkeypatch, capsys):
    def fail(**_):
        raise SystemError("error return without\nexception set")

    monkeypatch.setattr(cli_module, "app", fail)
    with pytest.raises(SystemError):
        main()
    monkeypatch.setattr(process_memory, "_LITTLE_BYTES", 2**62)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    reason = "SystemError: error return without exception set"
    assert capsys.readouterr().err == f"patchtst-har: error: not enough memory ({reason})\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "time,x,y\n2024-01-01,0,0\n", "a.csv: "),
        ("a.csv", "time,x,y,z\n2024-01-01 00:00:00,0,low,1\n", "a.csv: "),
        ("a.csv", "", "a.csv: "),
        ("a.csv", "time|x|y|z\n2024-01-01|0|0|1\n", "or another --delimiter"),
        ("a.csv", "time\tx\ty\tz\n", "a.csv: has a header but no samples"),
        (
            "a.csv",
            "# by AX\n" * 9 + "banner\n" * 3 + "time,x,y,z\n",
            "line 13 looks like the header: --skip-rows 12",
        ),
        ("a.csv", b"\xff\xfe\x00\x01", "a.csv: "),
        ("a.npz", b"PK\x03\x04 no archive", "a.npz: "),
        ("a.parquet", b"PAR1", "a.parquet: "),
        ("a.txt", "hello", "a.txt: "),
    ],
)
def test_unreadable_recordings_are_one_line(cli, small_run, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = cli("predict", path, "--model", small_run.folder / "model", "--out", tmp_path / "labels")
    assert message in error_of(result)
    assert not (tmp_path / "labels").exists()


def test_a_missing_recording_a_folder_and_too_short_a_one(cli, small_run, tmp_path):
    model = small_run.folder / "model"
    assert "gone.csv" in error_of(cli("predict", tmp_path / "gone.csv", "--model", model))
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv" in error_of(cli("predict", tmp_path / "folder.csv", "--model", model))
    write_recording(tmp_path / "short.csv", make_recording(bouts=(("walking", 5.0),)))
    error = error_of(cli("predict", tmp_path / "short.csv", "--model", model))
    assert "short.csv: the recording has no uninterrupted segment of 10 s" in error


def test_a_damaged_model_folder(cli, small_run, tmp_path):
    model = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    write_recording(tmp_path / "a.csv", make_recording())
    (model / "model.safetensors").write_bytes(b"")
    error = error_of(cli("predict", tmp_path / "a.csv", "--model", model, "--out", tmp_path / "out"))
    assert "model.safetensors: not a safetensors file" in error
    assert "nowhere: no such model folder" in error_of(
        cli("predict", tmp_path / "a.csv", "--model", "nowhere")
    )
    assert not (tmp_path / "out").exists()


def test_no_such_participant(cli, small_run, prepared):
    arguments = ("evaluate", prepared / "prepared", "--model", small_run.folder / "model")
    assert "P99" in error_of(cli(*arguments, "--participants", "P01,P99"))
    assert "more than once: 'P01'" in error_of(cli(*arguments, "--participants", "P01, P01,"))
    assert "no participants were asked for" in error_of(cli(*arguments, "--participants", " ,"))
    assert "is a file" in error_of(cli(*arguments, "--out", __file__))


def test_a_class_that_the_model_does_not_know(cli, small_run, recordings, tmp_path):
    for path in recordings.iterdir():
        path.write_text(path.read_text().replace("running", "swimming"))
    out = tmp_path / "processed"
    assert cli("prepare", recordings, "--out", out, "--set", f"output_dir={tmp_path}")[0] == 0
    error = error_of(cli("evaluate", out, "--model", small_run.folder / "model"))
    assert "class 'swimming' is unknown to the model" in error


def test_a_folder_that_cannot_be_written(cli, small_run, tmp_path):
    write_recording(tmp_path / "a.csv", make_recording())
    (tmp_path / "file").write_text("keep me")
    model = small_run.folder / "model"
    result = cli("predict", tmp_path / "a.csv", "--model", model, "--out", tmp_path / "file" / "x")
    error = error_of(result)
    assert "file/x: a part of this path is a file" in error
    # Found before the windows are labelled: no bar was drawn.
    assert "windows" not in result[2]
    assert (tmp_path / "file").read_text() == "keep me"


def test_prepare_stops_at_a_bad_recording_or_notes_it(cli, recordings, tmp_path):
    (recordings / "P02.csv").write_text("time,x,y,z,annotation\n")
    out = tmp_path / "processed"
    assert "P02.csv" in error_of(cli("prepare", recordings, "--out", out))
    status, text, err = cli("prepare", recordings, "--out", out, "--on-error", "record")
    assert status == 0
    assert "5 participants" in text
    assert "P02 could not be used: error: " in err
    manifest = pd.read_csv(out / "manifest.csv").set_index("participant")
    assert manifest.loc["P02", "status"].startswith("error: ")


def test_annotations_are_mapped_to_classes(cli, recordings, tmp_path):
    labels = tmp_path / "dictionary.csv"
    labels.write_text("annotation,label:Effort\nsitting,rest\nwalking,move\nrunning,move\n", encoding="utf-8")
    options = ("--labels", labels, "--label-column", "label:Effort")
    status, out, err = cli("prepare", recordings, "--out", tmp_path / "processed", *options)
    assert status == 0, err
    assert "classes: move, rest" in out


def test_the_demo_refuses_a_folder_in_use(cli, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "config.yaml").write_text("years of work")
    assert "is not empty" in error_of(cli("demo", "--out", tmp_path / "work"))
    error = error_of(cli("demo", "--out", tmp_path / "work", "--overwrite"))
    assert "was not made by the demonstration" in error
    assert (tmp_path / "work" / "config.yaml").read_text() == "years of work"
    assert "is a file" in error_of(cli("demo", "--out", tmp_path / "work" / "config.yaml", "--overwrite"))


def test_a_file_is_no_folder_of_recordings_and_data_are_not_overwritten(cli, recordings, tmp_path):
    file = next(recordings.iterdir())
    assert "name the folder" in error_of(cli("prepare", file, "--out", tmp_path / "out"))
    assert cli("prepare", recordings, "--out", tmp_path / "out")[0] == 0
    assert "--overwrite" in error_of(cli("prepare", recordings, "--out", tmp_path / "out"))


def test_bars_are_drawn_from_the_first_report_on_and_stop_with_their_stage(monkeypatch):
    out, bars = io.StringIO(), []

    class Kept(Progress):
        def __init__(self, *columns, **options):
            super().__init__(*columns, **options)
            bars.append(self)

    monkeypatch.setattr(console, "err", Console(file=out, width=100))
    monkeypatch.setattr(console, "Progress", Kept)
    with console.progress():
        pass
    assert out.getvalue() == ""
    with console.progress() as on_progress:
        on_progress(3, 4, "first")
        on_progress(1, 1, "second")
        first, second = bars[-1].tasks
        assert first.stop_time is not None
        assert second.finished
    assert "3/4" in out.getvalue()
    assert "1/1" in out.getvalue()


def test_bars_in_a_file_start_no_thread():
    """Without memory for it, CPython would wait for the thread for ever."""
    before = threading.active_count()
    with console.progress() as on_progress:
        on_progress(1, 2, "anything")
        assert threading.active_count() == before


@pytest.mark.parametrize("verbose", [False, True])
def test_a_warning_is_a_plain_line_below_the_bars_that_led_to_it(capsys, verbose):
    """Time, level and module stand in the log file, and on the terminal only if asked for."""
    try:
        console.start_logging(verbose)
        with console.progress() as on_progress:
            on_progress(3, 4, "first")
            logging.getLogger("patchtst_har.somewhere").warning("the unit is doubtful")
            on_progress(1, 1, "second")
    finally:
        close_logging()
    err = capsys.readouterr().err
    if verbose:
        assert re.search(r"20\d\d-.* WARNING patchtst_har.somewhere: the unit is doubtful", err)
        return
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    kinds = [line.split(maxsplit=1)[0] for line in lines]
    assert (
        kinds.index("first")
        < lines.index("patchtst-har: warning: the unit is doubtful")
        < kinds.index("second")
    )
    assert "somewhere" not in err


@pytest.mark.parametrize("command", ["", *(command.name for command in app.registered_commands)])
def test_help_reads_as_words(cli, command):
    """No type in angle brackets, no name in braces, nothing behind an option that takes no value."""
    status, text, _ = cli(*filter(None, [command]), "--help")
    assert status == 0
    assert not re.search(r"<\w+[>|]|\{\w+\}|bool", text), text
    assert re.search(r"--help +Show this message", text)
    if command == "predict":
        assert "predict [OPTIONS] [RECORDING]..." in text
        assert re.search(r"--out +PATH +Folder", text)
        assert "g|m/s2|mg" in text


def test_help_needs_no_docstrings():
    """Python drops them with -OO."""
    assert all(
        command.help and command.callback.__doc__ not in command.help for command in app.registered_commands
    )


def test_names_are_never_read_as_markup(cli, recordings, tmp_path):
    for path in recordings.iterdir():
        path.write_text(path.read_text().replace("running", "[/x]").replace("sitting", "[left]"))
    status, out, err = cli("prepare", recordings, "--out", tmp_path / "processed")
    assert status == 0, err
    assert "classes: [/x], [left], walking" in out


def test_results_are_named_after_the_whole_recording(cli, small_run, tmp_path):
    model = small_run.folder / "model"
    for name in ("2024.01.A.csv", "2024.01.B.csv.gz"):
        write_recording(tmp_path / name, make_recording())
        assert cli("predict", tmp_path / name, "--model", model, "--out", tmp_path / "out")[0] == 0
    kinds = (
        "bouts.csv",
        "daily.csv",
        "labels.csv",
        "report.html",
        "summary.json",
        "timeline.svg",
        "windows.csv",
    )
    expected = sorted(f"2024.01.{name}_{kind}" for name in "AB" for kind in kinds)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == expected


def test_names_of_files_need_not_be_utf8(cli, small_run, tmp_path, monkeypatch):
    """As they come out of old archives. Results have the byte as an escape, in their names, too."""
    model, recording, out = (tmp_path / os.fsdecode(name) for name in (b"m\xe9", b"P\xe9.csv", b"o\xe9"))
    shutil.copytree(small_run.folder / "model", model)
    write_recording(recording, make_recording(start="2023-11-14 22:20:00"))
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", printed)
    status, _, err = cli("predict", recording, "--model", model, "--out", out)
    assert status == 0, err
    printed.flush()
    assert os.fsencode(out / "P\\udce9_report.html") in printed.buffer.getvalue()
    kinds = (
        "bouts.csv",
        "daily.csv",
        "labels.csv",
        "report.html",
        "summary.json",
        "timeline.svg",
        "windows.csv",
    )
    assert sorted(path.name for path in out.iterdir()) == [f"P\\udce9_{kind}" for kind in kinds]
    summary = json.loads((out / "P\\udce9_summary.json").read_text(encoding="utf-8"))
    assert summary["recording"]["source"] == f"{tmp_path}/P\\udce9.csv"
    assert "P\\udce9.csv" in (out / "P\\udce9_report.html").read_text(encoding="utf-8")


def test_a_failure_while_writing_leaves_none_of_the_results(cli, small_run, tmp_path):
    write_recording(tmp_path / "a.csv", make_recording())
    out = tmp_path / "out"
    (out / "a_report.html").mkdir(parents=True)
    assert "a_report.html" in error_of(
        cli("predict", tmp_path / "a.csv", "--model", small_run.folder / "model", "--out", out)
    )
    assert [path.name for path in out.iterdir()] == ["a_report.html"]


def test_what_could_not_be_used_is_told(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("sitting", 60.0),), start="2023-11-14 22:20:00")
    recording.iloc[3000:3300, :3] = np.nan
    recording.iloc[3600:3900, :3] = 0.0
    write_recording(tmp_path / "a.csv", recording)
    status, _, err = cli(
        "predict", tmp_path / "a.csv", "--model", small_run.folder / "model", "--out", tmp_path
    )
    assert status == 0, err
    page = (tmp_path / "a_report.html").read_text()
    for text in (
        "Samples left out, NaN or infinite: 300.",
        "Samples left out, exactly (0, 0, 0), as devices write where they have none: 300.",
        "Segments between gaps that are shorter than a window, not labelled: 1.",
    ):
        assert text in page
        assert f"patchtst-har: warning: {text}" in err


def in_another_form(path, recording):
    """Write a recording as a device's export: banner, semicolons, decimal commas, other names, cut off."""
    table = recording.reset_index()
    table.columns = ["Timestamp", "X (g)", "Y (g)", "Z (g)", *table.columns[4:]]
    form = {"sep": ";", "decimal": ",", "date_format": "%d.%m.%Y %H:%M:%S.%f", "index": False}
    path.write_text("---- Data File ----\n" * 10 + table.to_csv(**form) + "14.11.20")
    return (
        "--columns",
        "time=Timestamp,x=X (g),y=Y (g),z=Z (g)",
        *("--skip-rows", 10, "--decimal", ",", "--time-format", "%d.%m.%Y %H:%M:%S.%f"),
    )


@pytest.mark.filterwarnings("always::patchtst_har.data.recording.ReadingWarning")
def test_files_in_another_form_give_the_same_labels(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("sitting", 30.0), ("walking", 30.0)), start="2023-11-14 22:20:00")
    recording = recording.drop(columns="annotation")
    write_recording(tmp_path / "plain.csv", recording)
    options = in_another_form(tmp_path / "a.csv", recording.round(6))
    arguments = ("--model", small_run.folder / "model", "--out", tmp_path)
    assert cli("predict", tmp_path / "plain.csv", *arguments)[0] == 0
    status, _, err = cli("predict", tmp_path / "a.csv", *arguments, *options)
    assert status == 0, err
    assert err.count("a.csv: file cut off in line 6012, dropped") == 1
    found, wanted = (pd.read_csv(tmp_path / f"{name}_labels.csv") for name in ("a", "plain"))
    pd.testing.assert_frame_equal(found, wanted)
    assert "--skip-rows 10" in error_of(cli("predict", tmp_path / "a.csv", *arguments, *options[:2]))
    error = error_of(cli("predict", tmp_path / "a.csv", *arguments, "--sort", "--on-disorder", "drop"))
    assert "--sort and --on-disorder exclude each other" in error
    assert "columns: must be like" in error_of(cli("predict", "a.csv", *arguments, "--columns", "x"))


def test_a_time_column_among_several_is_chosen(cli, small_run, tmp_path):
    recording = make_recording(start="2023-11-14 22:20:00").drop(columns="annotation").round(6)
    table = recording.reset_index().rename(columns={"time": "datetime"})
    table.insert(0, "timestamp", "2001-01-01")
    table.to_csv(tmp_path / "a.csv", index=False)
    arguments = ("predict", tmp_path / "a.csv", "--model", small_run.folder / "model", "--out", tmp_path)
    assert "choose one (--columns time=...)" in error_of(cli(*arguments))
    labels = []
    for chosen in (("--time-column", "datetime"), ("--columns", "time=datetime")):
        status, _, err = cli(*arguments, "--no-report", *chosen)
        assert status == 0, err
        labels.append((tmp_path / "a_labels.csv").read_text())
    assert labels[0] == labels[1]
    assert "\n2023-11-14 22:20:00" in labels[0]
    assert "no column 'when'" in error_of(cli(*arguments, "--time-column", "when"))
    error = error_of(cli(*arguments, *chosen, "--time-column", "datetime"))
    assert "--time-column and --columns time=... exclude each other" in error


@pytest.mark.filterwarnings("always::patchtst_har.data.recording.ReadingWarning")
def test_data_sets_are_prepared_from_files_in_another_form(cli, tmp_path):
    (tmp_path / "recordings").mkdir()
    bouts = (("sitting", 30.0), ("walking", 30.0))
    for number in range(2):
        path = tmp_path / "recordings" / f"P{number}.csv"
        options = in_another_form(path, make_recording(bouts=bouts, seed=number))
    (tmp_path / "recordings" / "P2.agd").write_bytes(b"MD")
    status, out, err = cli("prepare", tmp_path / "recordings", "--out", tmp_path / "data", *options)
    assert status == 0, err
    assert "2 participants, classes: sitting, walking" in out
    assert "passed over 1 .agd file, which is not read yet; convert it to CSV or Parquet first" in err


def test_hours_are_shown_where_the_wearer_lives(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("sitting", 30.0),), start="2023-11-14 22:20:00").tz_localize("UTC")
    write_recording(tmp_path / "a.csv", recording)
    arguments = ("predict", tmp_path / "a.csv", "--model", small_run.folder / "model", "--out", tmp_path)
    assert "data.timezone" in error_of(cli(*arguments))
    assert cli(*arguments, "--timezone", "Asia/Tokyo")[0] == 0
    labels = pd.read_csv(tmp_path / "a_labels.csv")
    assert labels["start"].iloc[0] == "2023-11-15 07:20:00+09:00"
    assert "Mars/Base" in error_of(cli(*arguments, "--timezone", "Mars/Base"))


def test_version(cli):
    assert cli("--version") == (0, f"{patchtst_har.__version__}\n", "")


def test_interrupting_says_how_to_go_on(cli, prepared, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("patchtst_har.training.trainer.PatchTSTTrainer.train", interrupt)
    options = ("--set", f"data.proc_dir={prepared / 'prepared'}", "--set", f"output_dir={tmp_path}")
    status, _, err = cli("train", *options)
    assert status == 130
    assert "--resume" in err


def test_numeric_time_needs_its_unit_and_takes_it(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("sitting", 30.0),), start="2023-11-14 22:20:00")
    table = recording.drop(columns="annotation").reset_index()
    since_1970 = table["time"].astype("int64") // 1_000_000
    arguments = ("predict", tmp_path / "a.csv", "--model", small_run.folder / "model", "--out", tmp_path)
    for stamps, unit in ((since_1970, ()), (since_1970 - since_1970[0], ("--time-unit", "ms"))):
        table.assign(time=stamps).to_csv(tmp_path / "a.csv", index=False)
        if unit:
            assert "time_unit" in error_of(cli(*arguments))
        assert cli(*arguments, *unit)[0] == 0
        labels = pd.read_csv(tmp_path / "a_labels.csv")
        assert labels["start"].iloc[0] == ("1970-01-01 00:00:00" if unit else "2023-11-14 22:20:00")


def test_cross_validation_without_folds_is_refused_before_training(cli, prepared, tmp_path):
    options = ("--set", f"data.proc_dir={prepared / 'prepared'}", "--set", f"output_dir={tmp_path}")
    options = (*options, "--set", "data.split=counts")
    for asked in ("--cross-validation", "--ablate"):
        assert "needs kfold" in error_of(cli("train", asked, *options))
    assert list(tmp_path.iterdir()) == []


def ablation_of(gains):
    """An ablation whose arms gain so much macro F1: estimate and bounds."""
    few = {"n_resamples": 10, "confidence": 0.95, "seed": 0, "n_participants": 6}
    nothing = Interval(estimate=None, low=None, high=None)

    def arm(number, gain):
        f1 = gain and Interval(**dict(zip(("estimate", "low", "high"), gain, strict=True)))
        minus = f1 and Intervals(**few, accuracy=nothing, macro_f1=f1)
        return AblationArm(name=f"arm {number}", macro_f1=0.5, accuracy=0.5, minus_before=minus)

    arms = tuple(arm(number, gain) for number, gain in enumerate(gains))
    left_out = {"time of day": "the clock is UTC"}
    return Ablation(n_folds=2, n_participants=6, n_windows=216, arms=arms, left_out=left_out)


@pytest.mark.trains
def test_cross_validation_and_ablation_are_told(cli, prepared, tmp_path, monkeypatch):
    # What comes after training is the same for every run, and arms have their own tests: both take long.
    monkeypatch.setattr("patchtst_har.benchmark.run_measurements.measure_run", lambda *_, **__: None)
    monkeypatch.setattr("patchtst_har.reports.run.render_report", lambda run_dir: run_dir)
    gains = (None, (0.1, -0.02, 0.31), (0.05, None, None), (None, None, None))
    monkeypatch.setattr("patchtst_har.training.ablation.ablate", lambda *_, **__: ablation_of(gains))
    data = DataConfig(proc_dir=prepared / "prepared", split="kfold", n_folds=2, val_n=1)
    config = small_config(tmp_path, data=data, training=TrainingConfig(epochs=1, n_threads=1))
    config.save(tmp_path / "run.yaml")
    options = ("--cross-validation", "--ablate", "--baselines", "majority")
    status, out, err = cli("train", "--config", tmp_path / "run.yaml", *options)
    assert status == 0, err
    assert "Every participant held out once" in out
    *scores, first, sure, unsure, unknown, left_out = (
        [cell.strip() for cell in line[1:-1].split("│")] for line in out.splitlines() if line[:1] == "│"
    )
    # Name, raw, smoothed, and what always calls the commonest of three classes.
    assert {len(row) for row in scores} == {4}
    assert [row[3] for row in scores if row[0] == "accuracy"] == ["0.333"]
    assert all(re.fullmatch(r"0\.\d{3}", text) for _, raw, smoothed, _ in scores for text in (raw, smoothed))
    assert first == ["arm 0", "0.500", ""]
    assert sure == ["arm 1", "0.500", "+0.100 (-0.020 to +0.310)"]
    assert (unsure[2], unknown[2]) == ("+0.050", "")
    assert left_out == ["time of day: left out", "", "the clock is UTC"]


@pytest.mark.parametrize("asked", ["--cross-validation", "--ablate"])
def test_what_trains_several_models_is_refused_in_several_processes(
    cli, prepared, tmp_path, monkeypatch, asked
):
    monkeypatch.setattr("patchtst_har.training.processes.ALONE", Processes(rank=0, size=2))
    options = ("--set", f"data.proc_dir={prepared / 'prepared'}", "--set", f"output_dir={tmp_path}")
    status, out, err = cli("train", asked, *options, "--set", "data.split=kfold")
    assert (status, out) == (2, "")
    assert f"{asked} trains in one process; start it without torchrun" in " ".join(
        err.replace("│", "").split()
    )
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_baseline_is_refused_before_training(cli, prepared, tmp_path):
    options = ("--set", f"data.proc_dir={prepared / 'prepared'}", "--set", f"output_dir={tmp_path}")
    status, _, err = cli("train", *options, "--baselines", "majority,tree")
    assert status == 2
    assert (
        "'tree' is not known (known: all, none, majority, forest, forest-topology, minirocket)"
        in " ".join(err.replace("│", "").split())
    )
    assert list(tmp_path.iterdir()) == []


def test_evaluate_can_keep_its_cache_elsewhere(cli, small_run, prepared, tmp_path):
    arguments = ("evaluate", prepared / "prepared", "--model", small_run.folder / "model")
    assert cli(*arguments, "--participants", "P01", "--cache", tmp_path / "cache")[0] == 0
    assert list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("text", ["{}", "[]", '{"split": {"train": "P01"}}', "nonsense"])
def test_a_damaged_provenance_is_named(cli, small_run, prepared, tmp_path, text):
    model = shutil.copytree(small_run.folder / "model", tmp_path / "model")
    (model / "provenance.json").write_text(text)
    error = error_of(cli("evaluate", prepared / "prepared", "--model", model, "--participants", "P01"))
    assert "provenance.json" in error


def scaled_recording(path, factor, *bouts):
    recording = make_recording(bouts=bouts or (("sitting", 30.0),))
    write_recording(path, recording.assign(**{axis: recording[axis] * factor for axis in "xyz"}))
    return path


def test_another_unit_is_an_error_and_a_named_one_a_warning(cli, small_run, tmp_path):
    path = scaled_recording(tmp_path / "si.csv", 9.80665)
    arguments = ("predict", path, "--model", small_run.folder / "model", "--out", tmp_path / "out")
    error = error_of(cli(*arguments))
    for part in ("si.csv", "1 g", "look like 'm/s2'", "--units m/s2", "--units g"):
        assert part in error
    assert not (tmp_path / "out").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        status, _, err = cli(*arguments, "--unit", "g")
    assert status == 0, err
    line = next(line for line in err.splitlines() if "look like" in line)
    assert line.startswith("patchtst-har: warning: ")
    report = html.unescape((tmp_path / "out" / "si_report.html").read_text())
    assert line.removeprefix("patchtst-har: warning: ") in report
    assert err.count("look like") == 1
    assert "si.csv" in error_of(cli(*arguments, "--units", "g", "--strict"))
    # One of a thousand g lies beyond what any sensor measures, whatever is named.
    path = scaled_recording(tmp_path / "mg.csv", 1000)
    error = error_of(cli("predict", path, "--model", small_run.folder / "model", "--units", "g"))
    assert "mg.csv: the recording has no uninterrupted segment" in error
    assert "of 3,000 samples, unusable are 3,000 beyond 50 g" in error


def test_preparing_says_what_was_left_out(cli, recordings, tmp_path):
    recording = make_recording(bouts=(("sitting", 60.0),))
    recording.iloc[1000:1100, :3] = 32767.0
    write_recording(recordings / "P03.csv", recording)
    status, _, err = cli("prepare", recordings, "--out", tmp_path / "processed")
    assert status == 0, err
    assert "warning: samples left out: 100 beyond 50 g, as markers of missing values are" in err


def test_one_file_of_a_folder_in_another_unit(cli, recordings, tmp_path):
    scaled_recording(recordings / "P03.csv", 1000)
    out = tmp_path / "processed"
    assert "P03.csv" in error_of(cli("prepare", recordings, "--out", out))
    status, _, err = cli("prepare", recordings, "--out", out, "--overwrite", "--on-error", "record")
    assert status == 0, err
    assert "P03 could not be used" in err
    assert "--units mg" in err


def test_what_a_prediction_leaves(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("sitting", 30.0), ("walking", 30.0)), start="2023-11-14 22:20:00")
    recording.iloc[100:150, :3] = -9999.0
    write_recording(tmp_path / "a.csv", recording)
    model, out = small_run.folder / "model", tmp_path / "out"
    status, printed, err = cli("predict", tmp_path / "a.csv", "--model", model, "--out", out)
    assert status == 0, err
    assert "model:     3 classes (running, sitting, walking), trained on 3 people" in printed
    warned = [line for line in err.splitlines() if "warning" in line]
    assert len(warned) == 1, err
    assert "Samples left out, beyond 50 g, as markers of missing values are: 50." in warned[0]
    assert {path.name for path in out.iterdir()} == {
        *(f"a_{table}.csv" for table in ("labels", "windows", "daily", "bouts")),
        *("a_summary.json", "a_timeline.svg", "a_report.html"),
    }
    labels, windows = (
        pd.read_csv(out / f"a_{name}.csv", parse_dates=["start"]) for name in ("labels", "windows")
    )
    classes = ("running", "sitting", "walking")
    kinds = [f"{kind}: {name}" for kind in ("raw", "smoothed") for name in classes]
    known = ["distance", "unfamiliar"]
    assert list(windows.columns) == [
        "start",
        "end",
        "label",
        "probability",
        "enmo_mg",
        "raw_label",
        *kinds,
        *known,
    ]
    assert windows["label"].tolist() == labels["label"].tolist()
    for kind in ("raw", "smoothed"):
        np.testing.assert_allclose(windows[[f"{kind}: {name}" for name in classes]].sum(axis=1), 1, atol=3e-6)
    raw = windows[[f"raw: {name}" for name in classes]].to_numpy()
    assert windows["raw_label"].tolist() == [classes[k] for k in raw.argmax(axis=1)]
    summary = json.loads((out / "a_summary.json").read_text())
    assert sum(summary["minutes"].values()) == pytest.approx(1.0)
    assert set(summary["minutes"]) == set(classes)
    assert (summary["n_windows"], summary["n_unfamiliar"]) == (6, 0)
    assert summary["recording"]["dropped"]["n_out_of_range"] == 50
    assert summary["recording"]["sample_rate_hz"] == pytest.approx(100)
    assert summary["model"]["trained_on"] == "3 people"
    assert any("beyond 50 g" in text for text in summary["warnings"])


def test_a_prediction_without_a_report_and_with_other_smoothing(cli, small_run, tmp_path):
    bouts = [("sitting", 20.0), ("walking", 10.0), ("sitting", 20.0), ("running", 10.0)]
    write_recording(tmp_path / "a.csv", make_recording(bouts=bouts))
    model, labels = small_run.folder / "model", {}
    for smoothing in ("none", "hmm", "filter", "lag:1"):
        out = tmp_path / smoothing.replace(":", "")
        options = ("--model", model, "--out", out, "--smoothing", smoothing, "--no-report")
        status, printed, err = cli("predict", tmp_path / "a.csv", *options)
        assert status == 0, err
        assert {path.name for path in out.iterdir()} == {
            *(f"a_{table}.csv" for table in ("labels", "windows", "daily", "bouts")),
            "a_summary.json",
        }
        assert "report" not in printed
        assert json.loads((out / "a_summary.json").read_text())["model"]["smoothing"] == smoothing
        labels[smoothing] = pd.read_csv(out / "a_windows.csv")
    assert (labels["none"]["label"] == labels["none"]["raw_label"]).all()
    for name in ("hmm", "filter", "lag:1"):
        np.testing.assert_array_equal(labels[name]["raw: walking"], labels["none"]["raw: walking"])
        assert (labels[name]["smoothed: walking"] != labels["none"]["smoothed: walking"]).any()
    assert (labels["filter"]["probability"] != labels["hmm"]["probability"]).any()
    error = error_of(cli("predict", tmp_path / "a.csv", "--model", model, "--smoothing", "median"))
    assert "must be none, hmm, filter or lag:K" in error


def test_what_counts_as_a_day_and_a_bout_is_an_option(cli, small_run, tmp_path):
    path = tmp_path / "a.csv"
    write_recording(path, make_recording(bouts=[("sitting", 150.0), ("walking", 150.0)]))
    arguments = ("predict", path, "--model", small_run.folder / "model", "--out", tmp_path, "--no-report")
    options = ("--min-wear-hours", 0.05, "--inactive", "sitting, running", "--bout-minutes", 2)
    status, _, err = cli(*arguments, *options)
    assert status == 0, err
    days = json.loads((tmp_path / "a_summary.json").read_text())["days"]
    assert (days["n_valid"], days["inactive_classes"]) == (1, ["running", "sitting"])
    assert pd.read_csv(tmp_path / "a_bouts.csv")["minutes"].min() >= 2
    # Refused before the recording is read.
    path.unlink()
    for option, value, message in (
        ("--inactive", "lying", "inactive: 'lying' is no class of the model (running, sitting, walking)"),
        ("--min-wear-hours", 25, "min_wear_hours: needs a number from 0 to 24, is 25"),
        ("--bout-minutes", 0, "bouts: min_minutes must be a number above 0, not 0"),
    ):
        assert message in error_of(cli(*arguments, option, value))


def test_calibration_and_non_wear_of_a_prediction(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("walking", 900.0), ("sitting", 3600.0)), start="2023-11-14 22:20:00")
    samples = np.random.default_rng(0).normal((0.3, 0.2, 0.9), 0.002, (360_000, 3))
    recording.iloc[90_000:, :3] = samples.astype(np.float32)
    path, out = tmp_path / "a.npz", tmp_path / "out"
    axes = recording[["x", "y", "z"]].to_numpy(np.float32)
    np.savez(path, time_ns=recording.index.as_unit("ns").asi8, acc=axes)
    arguments = ("predict", path, "--model", small_run.folder / "model", "--out", out, "--no-report")
    error = error_of(cli(*arguments, "--calibration", "require"))
    assert f"{path}: cannot be calibrated: " in error
    assert not list(out.glob("*")), "something was written"
    status, _, err = cli(*arguments, "--calibration", "auto")
    assert status == 0, err
    (line,) = [line for line in err.splitlines() if "calibrated" in line]
    assert line.startswith("patchtst-har: warning: Not calibrated: ")
    assert pd.read_csv(out / "a_labels.csv")["label"].tolist().count("non_wear") == 360
    status, _, err = cli(*arguments, "--non-wear", "off")
    assert (status, "calibrated" in err) == (0, False)
    assert "non_wear" not in (out / "a_labels.csv").read_text()
    summary = json.loads((out / "a_summary.json").read_text())
    assert summary["signal"]["non_wear"] == {"policy": "off", "applied": False}


def test_a_source_far_below_the_rate_is_said(cli, small_run, tmp_path):
    write_recording(tmp_path / "slow.csv", make_recording(bouts=(("walking", 60.0),)).iloc[::20])
    arguments = ("predict", tmp_path / "slow.csv", "--model", small_run.folder / "model", "--out", tmp_path)
    status, _, err = cli(*arguments)
    assert status == 0, err
    (line,) = [line for line in err.splitlines() if "samples per second" in line]
    assert "has 5 samples per second, the model has windows of 100 Hz" in line
    said = line.removeprefix("patchtst-har: warning: ")
    assert said in html.unescape((tmp_path / "slow_report.html").read_text())
    assert said in json.loads((tmp_path / "slow_summary.json").read_text())["warnings"]


def test_evaluate_smooths_as_asked(cli, small_run, prepared, tmp_path):
    arguments = ("evaluate", prepared / "prepared", "--model", small_run.folder / "model")
    for smoothing in ("none", "lag:1"):
        status, out, err = cli(
            *arguments, "--smoothing", smoothing, "--out", tmp_path, "--cache", tmp_path / "c"
        )
        assert status == 0, err
        assert f"smoothing: {smoothing}" in out
        assert ("smoothed" in out) == (smoothing != "none")
        scores = json.loads((tmp_path / "evaluation.json").read_text())
        assert scores["smoothing"] == smoothing
        assert (scores["raw"] == scores["smoothed"]) == (smoothing == "none")


def test_units_are_converted(cli, small_run, tmp_path):
    recording = make_recording(bouts=(("sitting", 30.0),), start="2023-11-14 22:20:00")
    write_recording(tmp_path / "g.csv", recording)
    scaled = recording.assign(**{axis: recording[axis] * np.float32(9.80665) for axis in "xyz"})
    write_recording(tmp_path / "si.csv", scaled)
    model, out = small_run.folder / "model", tmp_path / "out"
    assert cli("predict", tmp_path / "g.csv", "--model", model, "--out", out)[0] == 0
    assert cli("predict", tmp_path / "si.csv", "--model", model, "--out", out, "--units", "m/s2")[0] == 0
    labels = [pd.read_csv(out / f"{name}_labels.csv")["label"].tolist() for name in ("g", "si")]
    assert labels[0] == labels[1] == ["sitting"] * 3


def test_a_zone_is_used_or_said_to_be_of_no_use(cli, tmp_path):
    recording = make_recording(bouts=(("sitting", 30.0),), start="2024-05-01 10:00:00")
    epoch_ms = recording.index.as_unit("ms").asi8
    recording[["x", "y", "z"]].assign(time=epoch_ms).to_csv(tmp_path / "log.csv", index=False)
    common = ("predict", tmp_path / "log.csv", "--out", tmp_path)
    zone = ("--timezone", "Europe/Berlin")
    for options, clock, start in (
        ((), "local wall clock", "2024-05-01 10:00:00"),
        (zone, "local wall clock", "2024-05-01 10:00:00"),
        (("--utc",), "UTC", "2024-05-01 10:00:00+00:00"),
        ((*zone, "--utc"), "Europe/Berlin", "2024-05-01 12:00:00+02:00"),
    ):
        status, _, err = cli(*common, *options, "--time-unit", "ms", "--no-report")
        assert status == 0, err
        summary = json.loads((tmp_path / "log_summary.json").read_text())
        assert (summary["recording"]["clock"], summary["recording"]["start"]) == (clock, start)
        assert ("Europe/Berlin (--timezone) changes nothing" in err) == (options == zone)
        assert any("those of UTC" in notice for notice in summary["notices"]) == (clock == "UTC")
        assert pd.read_csv(tmp_path / "log_labels.csv")["start"][0] == start


@pytest.mark.spawns
def test_a_command_without_torch_says_what_it_lacks(tmp_path):
    """There is no torch for macOS on Intel, and `None` is how Python marks a module that is not there."""
    script = "import sys; sys.modules['torch'] = None; from patchtst_har.cli import main; main()"
    command = [sys.executable, "-c", script, "pretrain", str(tmp_path), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "patchtst-har: error: this command needs torch, which is not installed\n"
