"""What is compiled around a feature, called as it is; test_registry.py has tests of the compiled forms."""

from __future__ import annotations

import numpy as np
import pytest

from patchtst_har.features.plugins import templates


@pytest.fixture
def filled(monkeypatch):
    """Return a function that fills the templates' names in, and computes windows of one value each."""

    def compute(feature, store, values, n_outputs=1):
        names = {"feature": feature, "store": store, "guarded": templates.guard, "prange": range}
        for name, value in names.items():
            monkeypatch.setattr(templates, name, value, raising=False)
        rows, status = np.zeros((len(values), n_outputs), np.float32), np.full(len(values), -1)
        templates.fill(np.array(values), 100.0, rows, status)
        return rows.tolist(), status.tolist()

    return compute


def test_every_window_has_its_values_and_what_went_wrong_with_it(filled):
    def feature(window, sr):
        if window < 0:
            raise ValueError
        return window * sr

    rows, status = filled(feature, templates.store_number, [2.0, -1.0, np.inf])
    assert rows == [[200.0], [0.0], [np.inf]]
    assert status == [0, templates.RAISED, templates.NOT_FINITE]


def test_tuples_of_other_types_are_stored(filled):
    rows, status = filled(lambda window, sr: (1, window, True), templates.store_tuple, [0.5, np.nan], 3)
    assert rows[0] == [1.0, 0.5, 1.0]
    assert status == [0, templates.NOT_FINITE]


def test_an_array_of_another_length_is_not_stored(filled):
    rows, status = filled(
        lambda window, sr: np.full(int(window), sr), templates.store_array, [2.0, 3.0, 1.0], 2
    )
    assert rows == [[100.0, 100.0], [0.0, 0.0], [0.0, 0.0]]
    assert status == [0, templates.WRONG_COUNT, templates.WRONG_COUNT]
