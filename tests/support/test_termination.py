import os
import signal
import threading

import pytest

from patchtst_har.cli import main
from patchtst_har.support.files import atomic_path
from patchtst_har.support.termination import Terminated, ending_signals_noted, ending_signals_raise

NUMBERS = (signal.SIGTERM, signal.SIGHUP)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_file_that_is_being_written_goes_with_the_process(tmp_path, number):
    (tmp_path / "labels.csv").write_text("old")

    def write():
        with ending_signals_raise(), atomic_path(tmp_path / "labels.csv") as part:
            part.write_text("new")
            send(number)

    with pytest.raises(Terminated) as ended:
        write()
    assert ended.value.exit_status == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]
    assert (tmp_path / "labels.csv").read_text() == "old"
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", NUMBERS)
def test_the_command_ends_with_the_status_of_the_signal(monkeypatch, capsys, number):
    def command():
        send(number)

    monkeypatch.setattr("patchtst_har.cli.app", lambda prog_name: command())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 128 + number
    assert capsys.readouterr().err == f"patchtst-har: ended by {number.name}\n"


def test_a_loop_ends_between_two_steps_and_a_second_signal_does_not_wait():
    with ending_signals_raise():
        with ending_signals_noted() as stop:
            send(signal.SIGTERM)
            assert stop.number == signal.SIGTERM
            with pytest.raises(Terminated):
                send(signal.SIGHUP)
            with pytest.raises(Terminated, match="SIGTERM"):
                stop.raise_if_asked()
        with pytest.raises(Terminated):
            send(signal.SIGTERM)


def test_a_signal_that_was_ignored_stays_ignored():
    """As `nohup` wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_signals_raise(), ending_signals_noted() as stop:
            send(signal.SIGHUP)
            assert stop.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_may_run_a_command():
    failed = []

    def run():
        try:
            with ending_signals_raise():
                pass
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed
