"""One small trained run, shared by every test that only reads it; one thread per worker for the libraries."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments import SmallRun

SLOW = ("browser", "compiles", "draws", "spawns", "trains")

# nohup and some schedulers start programs with SIGHUP ignored, and shells those in the background with SIGINT
# ignored, which the command respects; its tests send both.
if hasattr(signal, "SIGHUP"):  # Windows has none.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when a library is loaded, so set before all imports. Workers with a thread per core hold each other up.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let workers begin with the slow files: the last ones are short then, and end at the same time."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        slow = {item.path for item in items if any(item.get_closest_marker(name) for name in SLOW)}
        items.sort(key=lambda item: (item.path not in slow, item.path.parent.name != "tests"))


def pytest_collection_finish() -> None:
    """Let the garbage collector skip what lives as long as the process: modules and collected tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> Iterator[None]:
    """Let the garbage collector skip what a file leaves: tests that call it would go through all of that."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """Root folder with `prepared/`: six people, three classes, 36 windows each. Do not write into it."""
    from made_once import made_once, session_folder
    from prepared_data import make_prepared

    root = session_folder(tmp_path_factory) / "experiment"
    with made_once(root) as missing:
        if missing:
            make_prepared(root / "prepared", n_participants=6)
    return root


@pytest.fixture(scope="session")
def small_run(prepared, tmp_path_factory) -> SmallRun:
    """A finished training run. Do not change its files."""
    from experiments import SmallRun, small_config
    from made_once import made_once, session_folder

    folder = session_folder(tmp_path_factory) / "small_run"
    with made_once(folder) as missing:
        if not missing:
            return SmallRun.load(folder / "objects.pickle")
        run = SmallRun.train(small_config(prepared, output_dir=folder))
        run.save(folder / "objects.pickle")
        return run
