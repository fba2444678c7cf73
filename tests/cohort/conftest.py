"""A small model and a small cohort, made once."""

from pathlib import Path

import pytest

from cohorts import write_cohort
from made_once import made_once, session_folder
from streams import small_recognizer, with_familiarity


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """An untrained model of windows of 2 s, with a smoother. Do not change it."""
    folder = session_folder(tmp_path_factory) / "cohort_model"
    with made_once(folder) as missing:
        if missing:
            with_familiarity(small_recognizer()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """Four recordings in two folders: too few for pictures in the page. Do not change them."""
    folder = session_folder(tmp_path_factory) / "cohort"
    with made_once(folder) as missing:
        if missing:
            write_cohort(folder, 4)
    return folder
