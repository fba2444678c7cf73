"""Labelling on a Dask cluster: a real scheduler and two worker processes on this machine."""

import os
import signal
import socket

import pytest

from cohorts import contents, summaries, write_cohort
from patchtst_har.cohort import dask_cluster, label_recordings
from patchtst_har.errors import MissingDependencyError, WorkersError

distributed = pytest.importorskip("distributed")


@pytest.mark.spawns
@pytest.mark.long
def test_a_worker_killed_in_mid_run_costs_nothing_and_the_files_are_the_same(model, tmp_path):
    folder, out = write_cohort(tmp_path / "in", 8), tmp_path / "out"
    killed = {}

    def kill(done, total, what):
        if done == 2 and not killed:
            killed.update(summaries(out))
            os.kill(pids[0], signal.SIGKILL)

    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            pids = list(client.run(os.getpid).values())
        with dask_cluster.dask_executor(cluster.scheduler_address) as executor:
            result = label_recordings([folder], out, model=model, executor=executor, on_progress=kill)
    assert len(set(pids)) == 2
    assert (result.n_labelled, result.n_finished_before, result.failures) == (8, 0, ())
    assert len(killed) >= 2, "killed when some were finished and others not"
    after = summaries(out)
    assert {name: after[name] for name in killed} == killed, "what is finished is not labelled again"
    label_recordings([folder], tmp_path / "alone", model=model)
    assert contents(out) == contents(tmp_path / "alone")


def test_a_scheduler_that_does_not_answer_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(WorkersError, match=rf"--dask {address}: no Dask scheduler answers"),
            dask_cluster.dask_executor(address, timeout_s=0.2),
        ):
            pass
    with (
        pytest.raises(WorkersError, match="--dask nonsense://x: no Dask scheduler"),
        dask_cluster.dask_executor("nonsense://x", timeout_s=0.2),
    ):
        pass


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'patchtst-har\[cluster\]'"),
        dask_cluster.dask_executor("tcp://127.0.0.1:1"),
    ):
        pass
