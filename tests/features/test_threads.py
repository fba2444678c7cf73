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


def test_an_error_in_a_thread_reaches_the_caller():
    def fail(rows):
        if rows.start:
            raise ValueError(f"row {rows.start}")

    with pytest.raises(ValueError, match="row 5"):
        run_in_chunks(fail, 10, 2)


def test_no_thread_stays_behind():
    before = threading.active_count()
    run_in_chunks(lambda _: None, 10, 4)
    assert threading.active_count() == before
