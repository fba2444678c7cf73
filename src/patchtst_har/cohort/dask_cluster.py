"""The workers of a Dask cluster as an `Executor`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from patchtst_har.errors import MissingDependencyError, WorkersError
from patchtst_har.support.formatting import counted

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0


@contextmanager
def dask_executor(address: str, *, timeout_s: float | None = None) -> Iterator[Executor]:
    """Yield the executor of a Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://node1:8786``, or the file that its ``--scheduler-file`` wrote.
    timeout_s : float
        How long the scheduler may take to answer; None: `TIMEOUT_S`.

    Raises
    ------
    MissingDependencyError
        Without dask.distributed.
    WorkersError
        If no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependencyError(
            "--dask needs dask.distributed: pip install 'patchtst-har[cluster]'"
        ) from error
    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        client = Client(**where, timeout=TIMEOUT_S if timeout_s is None else timeout_s, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise WorkersError(f"--dask {address}: no Dask scheduler answers ({text})") from error
    with client:
        threads = client.nthreads()
        if not threads:
            logger.warning("%s: has no workers yet; waiting for them", address)
        several = sum(n > 1 for n in threads.values())
        if several:
            logger.warning(
                "%s with several threads: each labels one recording at a time all the same; start them with "
                "--nthreads 1",
                counted(several, "worker", "workers"),
            )
        yield client.get_executor(pure=False)
