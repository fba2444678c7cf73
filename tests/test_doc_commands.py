"""The commands of the documentation, run as they stand: trainings, searches, servers, clusters.

`test_doc_blocks.py` runs what takes seconds. Here a command gets only what makes it shorter, or names a port.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from doc_blocks import ROOT, RUN, blocks, commands, not_run, pages
from doc_start import write_start
from forking import python
from patchtst_har.data import write_capture24

pytestmark = pytest.mark.long

# What makes a command shorter: (what its line has, what it gets).
SHORTER = (
    ("patchtst-har train", "--set training.epochs=2"),
    ("patchtst-har pretrain", "--set training.epochs=2"),
    ("patchtst-har benchmark", "--quick"),
)
# They install, build or measure; what they name is checked, and continuous integration calls what it can.
OTHERS = (
    "pip ",
    "make ",
    "python ",
    "python3 ",
    ".venv/",
    "export ",
    "PYTHONPATH=",
    "OPENBLAS_NUM_THREADS=",
    "git ",
)
# On a machine that is busy, a target is missed, and a run slower than the one before.
MAY_FAIL = {"--fail-on": (0, 3)}
ADDRESS = re.compile(r"tcp://(?:HOST|host):8786")
TRAINED = re.compile(r"experiment_name[=:] ?(\w+)")


def lines_of(page):
    """Return the command lines that are to be run on a page."""
    lines = (line for block in blocks(page) if block.language == "bash" for line in commands(block))
    return [line for line in lines if not line.strip().startswith(OTHERS)]


def left_out_elsewhere(page, line):
    return page not in RUN or not_run(line) is not None


PAGES = [page for page in pages() if any(left_out_elsewhere(page, line) for line in lines_of(page))]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder with the programs of the pages, as an environment has them; SLURM runs three of an array."""
    folder = tmp_path_factory.mktemp("bin")
    scripts = {
        "patchtst-har": f'exec {shlex.join(python())} -m patchtst_har "$@"',
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
        "dask": f'exec {sys.executable} -m dask "$@"',
        "sbatch": """case "$1" in --array=*) ids="1 2 3" ;; *) ids=0 ;; esac
while [ "$1" != --wrap ]; do shift; done
for id in $ids; do SLURM_ARRAY_TASK_ID=$id sh -ec "$2" || exit 1; done""",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory, small_run, programs):
    folder = tmp_path_factory.mktemp("start")
    write_start(folder, small_run.folder, ("study", "folds", "scratch", "tuned", "heads", "demo"), n_people=6)
    with contextlib.ExitStack() as ended:
        Shell(folder, programs, ended).run("patchtst-har prepare recordings --out prepared/nine")
    shutil.copytree(folder / "prepared/nine", folder / "other")
    # A page may name a file that another one shows.
    for block in (block for page in pages() for block in blocks(page) if block.file):
        (folder / block.file).write_text(block.text, encoding="utf-8")
    for name in ("first", "second", "third"):
        shutil.copytree(small_run.folder, folder / "runs" / name)
    (folder / "data/P001").mkdir(parents=True)
    shutil.copyfile(folder / "recording.cwa", folder / "data/P001/wrist.cwa")
    recording = folder / "runs/demo/data/recordings/P01.csv"
    recording.parent.mkdir(parents=True)
    shutil.copyfile(folder / "recordings/P001.csv", recording)
    return folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Shell:
    """Runs lines in a folder, with the programs of the pages; those that serve go on until the end."""

    def __init__(self, folder, programs, ended):
        self.folder, self.ended, self.cluster = folder, ended, None
        paths = [str(programs), os.environ["PATH"]]
        self.settings = {"cwd": folder, "env": {**os.environ, "PATH": os.pathsep.join(paths)}, "text": True}

    def run(self, line):
        command = ["sh", "-c", line]
        done = subprocess.run(command, capture_output=True, check=False, timeout=600, **self.settings)
        expected = next((codes for words, codes in MAY_FAIL.items() if words in line), (0,))
        assert done.returncode in expected, (
            f"{line}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
        return done.stdout

    def serve(self, line):
        """Start a command that runs until it is ended; return its process and where its output goes."""
        output = self.folder / f"{time.monotonic_ns()}.log"
        command = ["sh", "-c", f"exec {line}"]
        with output.open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **self.settings)
        self.ended.callback(process.wait)
        self.ended.callback(process.terminate)
        return process, output

    def address(self):
        """Return the address of a Dask scheduler; start one with two workers if the page did not."""
        if self.cluster is None:
            self.start_scheduler("dask scheduler")
            self.serve(f"dask worker {self.cluster} --nworkers 2 --nthreads 1")
        return self.cluster

    def start_scheduler(self, line):
        port = free_port()
        self.serve(f"{line} --host 127.0.0.1 --port {port} --no-dashboard")
        self.cluster = f"tcp://127.0.0.1:{port}"


def wait_for(found, what):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError(f"no {what}")


def play_tcp(shell, line):
    """Run a command that reads from a TCP server, which sends a recording and closes."""
    rows = (shell.folder / "recording.csv").read_text().splitlines()[1:]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send():
            connection, _ = server.accept()
            with connection:
                connection.sendall("".join(f"{row.rsplit(',', 1)[0]}\n" for row in rows).encode())

        # A command that never connects must not keep the tests from ending.
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        printed = shell.run(line.replace(":5005", f":{server.getsockname()[1]}"))
        assert "111 decisions" in printed
        sender.join()


def play_udp(shell, line):
    """Run a command that listens to UDP, and may serve a page, until it has decided on a recording."""
    rows = (shell.folder / "recording.csv").read_text().splitlines()[1:]
    source, page = free_port(), free_port()
    line = line.replace(":5005", f":{source}").replace("--serve 8765", f"--serve {page}")
    process, output = shell.serve(line)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", source))

        def heard():
            # A datagram that nobody receives is an error of the next one; blank lines are nothing.
            with contextlib.suppress(ConnectionRefusedError):
                return sender.send(b"\n") and not time.sleep(0.1) and sender.send(b"\n")

        wait_for(heard, "listener")
        for first in range(0, len(rows), 20):
            sender.send("".join(f"{row.rsplit(',', 1)[0]}\n" for row in rows[first : first + 20]).encode())
            time.sleep(0.002)
    if "--serve" in line:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/events", timeout=60) as events:
            wait_for(lambda: b"label" in events.readline(), "decision on the page")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0, output.read_text()
    assert re.search(r"\d decisions", output.read_text()), output.read_text()


def run_line(shell, line):
    line = line.partition(" #")[0].strip()
    for words, more in SHORTER:
        if words in line:
            line = f"{line} {more}"
    line = line.replace("--trials 40", "--trials 2")
    if line == "dask scheduler":
        shell.start_scheduler(line)
    elif line.startswith("dask worker"):
        shell.serve(ADDRESS.sub(shell.address(), line).replace("--nworkers 16", "--nworkers 2"))
    elif "tcp://127.0.0.1" in line:
        play_tcp(shell, line)
    elif "udp://127.0.0.1" in line:
        play_udp(shell, line)
    else:
        if ADDRESS.search(line):
            line = ADDRESS.sub(shell.address(), line)
        shell.run(line)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_page_run(page, start, programs, tmp_path):
    shutil.copytree(start, tmp_path, dirs_exist_ok=True)
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in TRAINED.findall(text):
        shutil.rmtree(tmp_path / "runs" / name, ignore_errors=True)
    with contextlib.ExitStack() as ended:
        shell = Shell(tmp_path, programs, ended)
        if "--split capture24-benchmark" in text:
            write_capture24(tmp_path / "capture24", [f"P{n:03d}" for n in range(1, 152)], bout_s=10)
        if "patchtst-har prepare" not in text:
            shutil.copytree(start / "prepared/nine", tmp_path / "processed")
        for line in lines_of(page):
            # Blocks of one page may be alternatives that do not name a run.
            shutil.rmtree(tmp_path / "runs" / "patchtst_har_v1", ignore_errors=True)
            run_line(shell, line)


def script_of(page, number):
    scripts = [block for block in blocks(page) if block.language == "python"]
    return scripts[number].text


# What dask_jobqueue offers, with processes of this machine in place of jobs.
JOBQUEUE = """
from distributed import LocalCluster

class SLURMCluster(LocalCluster):
    def __init__(self, *, queue, account, cores, processes, memory, walltime):
        assert cores == processes  # Workers of one thread.
        super().__init__(n_workers=0, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")

    def scale(self, *, jobs):
        super().scale(2)
"""


def test_the_script_that_starts_jobs_labels(start, tmp_path):
    pytest.importorskip("distributed")
    (tmp_path / "dask_jobqueue.py").write_text(JOBQUEUE)
    text = script_of("docs/cohorts.md", 0).replace("/data/recordings", str(start / "recordings"))
    (tmp_path / "label.py").write_text(text.replace("/data/labels", str(tmp_path / "labels")))
    done = subprocess.run(
        [sys.executable, "label.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "6 labelled, 0 failed\n", done.stderr


def test_the_script_that_lowers_a_model_runs(start, tmp_path):
    pytest.importorskip("executorch")
    text = script_of("docs/export.md", 1) + '\nopen("model.pte", "wb").write(lowered.buffer)\n'
    (tmp_path / "lower.py").write_text(text)
    (tmp_path / "runs").symlink_to(start / "runs")
    done = subprocess.run(
        [sys.executable, "lower.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.pte").read_bytes()[4:8] == b"ET12"
