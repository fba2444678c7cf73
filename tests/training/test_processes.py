"""Training in several processes on this machine, as ``torchrun`` starts them (gloo)."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from experiments import small_config
from patchtst_har.config import ExperimentConfig, SmoothingConfig
from patchtst_har.errors import DataError, ProcessError
from patchtst_har.model_folder import read_model_folder
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.batches import Batch
from patchtst_har.training.loop import share_of
from patchtst_har.training.processes import Processes, _is_said, _named, joined

COMMAND = [sys.executable, "-m", "patchtst_har", "train", "--config"]
# Starts `n` processes as forks of one that has imported everything: imports take longer than the training.
# Writes their numbers, and at the end their statuses. With `trainer`, without what the command measures and
# draws afterwards.
FORKS = """
import os
import sys
import torch._dynamo
import patchtst_har.cli
from patchtst_har.config import ExperimentConfig
from patchtst_har.training import PatchTSTTrainer
from patchtst_har.training.processes import joined

how, n, *arguments = sys.argv[1:]

def train(rank):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    sys.argv = ["patchtst-har", "train", "--config", *arguments]
    if how == "command":
        patchtst_har.cli.main()
    else:
        with joined():
            PatchTSTTrainer(ExperimentConfig.load(arguments[0]), resume="--resume" in arguments).train()
    raise SystemExit

children = []
for rank in range(int(n)):
    children.append(os.fork())
    if children[-1] == 0:
        train(rank)
print(*children, flush=True)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
STORES = []


def experiment(prepared, folder, name: str, **sections) -> ExperimentConfig:
    """Seven windows are left for the last batch; parts of it differ in size."""
    training = {"epochs": 3, "lr": 3e-3, "batch_size": 17, "keep": "last", **sections.pop("training", {})}
    config = small_config(
        prepared,
        output_dir=folder,
        experiment_name=name,
        training=training,
        smoothing=SmoothingConfig(method="none"),
        **sections,
    )
    config.save(folder / f"{name}.yaml")
    return config


def started(config: ExperimentConfig, n: int) -> list[subprocess.Popen]:
    """Start the command in `n` processes, as torchrun does but for its watch over them."""
    common = environment_of(n)
    command = [*COMMAND, path_of(config), "--baselines", "none"]
    return [process(command, {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(n)]


def forked(config: ExperimentConfig, n: int, how: str, *options: str) -> subprocess.Popen:
    """Start `FORKS`."""
    command = [sys.executable, "-c", FORKS, how, str(n), path_of(config), *options]
    return process(command, environment_of(n))


def environment_of(n: int) -> dict[str, str]:
    # Torchrun's store lives on while the processes end; here it does until the tests end.
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    STORES.append(store)
    return {
        "WORLD_SIZE": str(n),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }


def path_of(config: ExperimentConfig) -> str:
    return str(config.output_dir / f"{config.experiment_name}.yaml")


def process(command: list[str], environment: dict[str, str]) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)


def ended(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    found = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        found.append((process.returncode, out, err))
    return found


def metrics_of(config: ExperimentConfig) -> list[tuple[str, dict[str, float]]]:
    lines = [json.loads(line) for line in (config.run_dir / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["metrics"].pop("data_wait", None)
    return [(f"{line['phase']} {line['step']}", line["metrics"]) for line in lines]


def tensors_of(config: ExperimentConfig) -> dict:
    return read_model_folder(config.run_dir / "model").tensors


@pytest.mark.spawns
@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.long
def test_two_processes_have_the_loss_curve_of_one(prepared, tmp_path):
    settings = {
        "model": {"dropout": 0.0},
        "training": {"accumulation": 2, "ema_decay": 0.8, "augmentation": {"scale": 0.03, "shift_s": 0.5}},
    }
    one, two = (experiment(prepared, tmp_path, name, **settings) for name in ("one", "two"))
    first, second = ended(started(two, 2))
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert second[1:] == ("", ""), "the first alone writes"
    assert "final_macro_f1" in first[1]
    PatchTSTTrainer(one).train()
    expected, found = metrics_of(one), metrics_of(two)
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (name, those), (_, these) in zip(expected, found, strict=True):
        assert these == pytest.approx(those, abs=1e-5), name
    weights = tensors_of(one)
    for name, values in tensors_of(two).items():
        torch.testing.assert_close(torch.from_numpy(values), torch.from_numpy(weights[name]), msg=name)


@pytest.mark.spawns
@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.long
def test_a_killed_process_ends_the_run_with_a_checkpoint_from_which_it_goes_on(prepared, tmp_path):
    """With dropout: each process draws its own, and finds it again."""
    whole, cut = (experiment(prepared, tmp_path, name) for name in ("whole", "cut"))
    trained = forked(whole, 2, "trainer")
    out, err = trained.communicate(timeout=300)
    assert out.splitlines()[1] == "0 0", err
    training = forked(cut, 2, "command")
    second = int(training.stdout.readline().split()[1])
    path, deadline = cut.run_dir / "metrics.jsonl", time.monotonic() + 300
    while not path.exists() or path.read_text().count("\n") < 3:
        assert training.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(second, signal.SIGKILL)
    out, err = training.communicate(timeout=300)
    assert out.splitlines()[-1] == "2 -9"
    assert err.count("patchtst-har: error: ") == 1
    assert "error: another process of this training has ended; the same command with --resume goes on" in err
    with pytest.raises(DataError, match="processes: 2 in the run, 1 now"):
        PatchTSTTrainer(cut, resume=True).train()
    trained = forked(cut, 2, "trainer", "--resume")
    out, err = trained.communicate(timeout=300)
    assert out.splitlines()[1] == "0 0", err
    assert metrics_of(cut) == metrics_of(whole)
    others = tensors_of(whole)
    assert all((values == others[name]).all() for name, values in tensors_of(cut).items())


@pytest.mark.spawns
@pytest.mark.slow
@pytest.mark.long
def test_a_mistake_that_the_first_alone_finds_is_said_once_by_torchrun(prepared, tmp_path):
    config = experiment(prepared, tmp_path, "mistaken")
    config.run_dir.mkdir()
    (config.run_dir / "metrics.jsonl").write_text("")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *COMMAND[1:]]
    found = subprocess.run(
        [*torchrun, str(tmp_path / "mistaken.yaml")], capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 1
    text = f"{config.run_dir}: already holds a run; resume it"
    assert found.stderr.count(f"patchtst-har: error: {text}") == 1, found.stderr
    assert "another process" not in found.stderr
    assert f"traceback : {text}" in found.stderr


def test_of_the_same_error_and_of_what_it_leads_to_the_first_is_said():
    def store():
        return torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    cause, lost = DataError("damaged"), ProcessError("another process has ended")
    one = store()
    said = [_is_said(one, error) for error in (cause, cause, lost, DataError("another"))]
    assert said == [False, True, True, False]
    other = store()
    assert [_is_said(other, error) for error in (lost, lost)] == [False, True]


def test_a_lost_connection_is_told_from_other_errors():
    gloo = (
        "[/somewhere/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:1: reset by peer. This is typical"
    )
    text = str(_named(RuntimeError(gloo)))
    assert text.startswith("another process of this training has ended; the same command with --resume")
    assert text.endswith("(Read error [127.0.0.1]:1: reset by peer)")
    for error in (RuntimeError("mine"), DataError("a folder named gloo")):
        assert _named(error) is error


def test_the_shares_of_a_batch_are_all_of_it():
    batch = Batch((torch.arange(7.0),), torch.arange(7), torch.arange(14.0).view(7, 2))
    shares = [share_of(batch, Processes(rank, 3)) for rank in range(3)]
    assert [len(share.labels) for share in shares] == [3, 2, 2]
    assert torch.equal(torch.cat([share.labels for share in shares]), batch.labels)
    assert torch.equal(torch.cat([share.teachers for share in shares]), batch.teachers)
    few = Batch((torch.zeros(1),), torch.zeros(1, dtype=torch.int64), None)
    assert [len(share_of(few, Processes(rank, 3)).labels) for rank in range(3)] == [1, 0, 0]
    assert share_of(batch, Processes()) is batch


def test_alone_nothing_is_joined_and_errors_stay_what_they_are(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert processes == Processes.current() == Processes(0, 1)
    with pytest.raises(RuntimeError, match="mine") as caught, joined():
        raise RuntimeError("mine")
    assert not isinstance(caught.value, ProcessError)
