from __future__ import annotations

import threading

import pytest

from patchtst_har.features.threads import run_in_chunks


@pytest.mark.parametrize("n_rows", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_every_row_is_handled_once_in_even_chunks(n_rows, n_threads):
    chunks = []
    run_in_chunks(chunks.append, n_rows, n_threads)
    rows = sorted(row for chunk in chunks for row in range(n_rows)[chunk])
    assert rows == list(range(n_rows))
    sizes = [chunk.stop - chunk.start for chunk in chunks]
    assert len(chunks) == max(1, min(n_threads, n_rows))
    assert max(sizes) - min(sizes) <= 1


def test_one_thread_is_the_callers():
    callers = []
    run_in_chunks(lambda _: callers.append(threading.get_ident()), 10, 1)
    assert callers == [threading.get_ident()]


def test_the_caller_takes_a_share_and_the_others_are_threads_of_their_own():
    callers = {}
    together = threading.Barrier(3)

    def note(rows):
        together.wait(timeout=10)
        callers[rows.start] = threading.get_ident()

    run_in_chunks(note, 30, 3)
    assert callers[0] == threading.get_ident()
    assert len(set(callers.values())) == 3


@pytest.mark.parametrize("start", [0, 5])
def test_an_error_in_a_share_reaches_the_caller_after_the_others_are_done(start):
    done = []

    def fail(rows):
        if rows.start == start:
            raise ValueError(f"row {rows.start}")
        done.append(rows)

    with pytest.raises(ValueError, match=f"row {start}"):
        run_in_chunks(fail, 10, 2)
    assert len(done) == 1


def test_no_thread_stays_behind():
    before = threading.active_count()
    run_in_chunks(lambda _: None, 10, 4)
    assert threading.active_count() == before
