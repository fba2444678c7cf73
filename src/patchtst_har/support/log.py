"""Logging: one logger for the package, a file in the run folder, readable metric lines."""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from patchtst_har.support.files import ensure_folder, errors_named

LOGGER_NAME = "patchtst_har"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def setup_logging(
    log_dir: Path | str | None = None,
    level: int = logging.INFO,
    console: bool = True,
    handler: logging.Handler | None = None,
) -> logging.Logger:
    """Send the package's log records to the console and, if asked, to ``log_dir/training.log``.

    Only the package's own logger is configured, never the root logger of the program that uses it; calling
    again replaces the handlers of the earlier call instead of doubling every line.

    Parameters
    ----------
    log_dir : path-like, optional
        Folder of ``training.log`` (appended to; created if missing).
    level : int
        Lowest level that is shown.
    console : bool
        Whether records also go to standard error.
    handler : logging.Handler, optional
        In place of the one that writes to standard error; keeps its own format.

    Returns
    -------
    logging.Logger
        The logger ``patchtst_har``.

    Raises
    ------
    DataError, OSError
        If the folder cannot be created or written.
    """
    logger = logging.getLogger(LOGGER_NAME)
    close_logging()
    handlers: list[logging.Handler] = [handler or logging.StreamHandler(sys.stderr)] if console else []
    if log_dir is not None:
        handlers.append(_file_handler(ensure_folder(log_dir)))
    for each in handlers:
        if each.formatter is None:
            each.setFormatter(logging.Formatter(_FORMAT))
        each.setLevel(level)
        each.set_name(LOGGER_NAME)
        logger.addHandler(each)
    logger.setLevel(level)
    return logger


def close_logging() -> None:
    """Remove and close the handlers that `setup_logging` installed."""
    logger = logging.getLogger(LOGGER_NAME)
    for handler in [handler for handler in logger.handlers if handler.get_name() == LOGGER_NAME]:
        logger.removeHandler(handler)
        handler.close()


def _file_handler(log_dir: Path) -> logging.FileHandler:
    # A file that a line names need not have a name in UTF-8.
    return _LogFile(log_dir / "training.log", encoding="utf-8", errors="backslashreplace")


class _LogFile(logging.FileHandler):
    """Ends what is being done where a line cannot be written, in place of a traceback for each line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        if isinstance(sys.exc_info()[1], OSError):
            with errors_named(self.baseFilename):
                raise
        super().handleError(record)

    def close(self) -> None:
        # The line that did not fit is still to be written, and has been said.
        with suppress(OSError):
            super().close()


@contextmanager
def log_to_file(log_dir: Path, level: int = logging.INFO) -> Iterator[None]:
    """Also write the package's records of `level` and above to ``log_dir/training.log`` while inside."""
    package = logging.getLogger(LOGGER_NAME)
    handler = _file_handler(log_dir)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.setLevel(level)
    before = package.level
    # Handlers see only what the logger lets through; console handlers keep their own, higher threshold.
    package.setLevel(min(level, package.getEffectiveLevel()))
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(before)
        handler.close()


class TrainingLogger:
    """Log metrics as one line per call and keep their history for plots.

    Parameters
    ----------
    logger : logging.Logger
        Where the lines go.

    Attributes
    ----------
    metrics_history : dict of list of (step, value)
        By ``"{phase}_{metric}"``.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self.metrics_history: dict[str, list[tuple[int, float]]] = defaultdict(list)

    def log_metrics(self, metrics: Mapping[str, float], step: int, phase: str) -> None:
        """Log `metrics` of `phase` at `step` and append them to the history."""
        values = " | ".join(f"{name}={value:.4f}" for name, value in metrics.items())
        self.logger.info("%s step %d: %s", phase, step, values)
        for name, value in metrics.items():
            self.metrics_history[f"{phase}_{name}"].append((step, float(value)))
