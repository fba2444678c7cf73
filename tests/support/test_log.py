import logging
from pathlib import Path

import pytest

from patchtst_har.support.log import TrainingLogger, close_logging, log_to_file, setup_logging


@pytest.fixture(autouse=True)
def clean_handlers():
    yield
    close_logging()
    logging.getLogger("patchtst_har").setLevel(logging.NOTSET)


def test_records_go_to_the_file_and_to_the_console_once(tmp_path, capsys):
    setup_logging(tmp_path / "logs")
    logger = setup_logging(tmp_path / "logs")
    logger.info("hello")
    text = (tmp_path / "logs" / "training.log").read_text()
    assert text.count("INFO patchtst_har: hello") == 1
    assert capsys.readouterr().err.count("hello") == 1


def test_only_the_packages_logger_is_touched():
    before = list(logging.getLogger().handlers), logging.getLogger().level
    setup_logging()
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before


def test_the_file_gets_information_while_the_console_gets_warnings(tmp_path, capsys):
    logger = setup_logging(level=logging.WARNING)
    with log_to_file(tmp_path):
        logger.info("quiet")
        logger.warning("loud")
    logger.info("after")
    text = (tmp_path / "training.log").read_text()
    assert "quiet" in text
    assert "loud" in text
    assert "after" not in text
    console = capsys.readouterr().err
    assert "loud" in console
    assert "quiet" not in console
    assert logger.level == logging.WARNING


def test_metrics_are_one_line_and_a_history(caplog):
    lines = TrainingLogger(logging.getLogger("patchtst_har.test"))
    with caplog.at_level(logging.INFO, logger="patchtst_har.test"):
        lines.log_metrics({"loss": 0.5, "accuracy": 0.25}, 1, "train")
        lines.log_metrics({"loss": 0.25}, 2, "train")
    assert caplog.messages[0] == "train step 1: loss=0.5000 | accuracy=0.2500"
    assert dict(lines.metrics_history) == {"train_loss": [(1, 0.5), (2, 0.25)], "train_accuracy": [(1, 0.25)]}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_names_the_log_once(tmp_path, capsys):
    (tmp_path / "training.log").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught, log_to_file(tmp_path):
        logging.getLogger("patchtst_har").info("a line")
    assert caught.value.filename == str(tmp_path / "training.log")
    assert "Traceback" not in capsys.readouterr().err
