"""Every error of the package is one line that can be shown, whatever it quotes."""

import pickle
from pathlib import Path

import pytest

from patchtst_har import errors
from patchtst_har.config import ExperimentConfig
from patchtst_har.errors import ConfigError, DataError, PatchTSTHARError

HOSTILE = "a\nb\r\x1b[2J\x85\u2028\ud800"
SHOWN = r"a\nb\r\x1b[2J\x85\u2028\ud800"


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_what_cannot_be_shown_is_escaped(kind):
    if issubclass(kind, PatchTSTHARError):
        error = kind([HOSTILE], "x.yaml") if kind is ConfigError else kind(HOSTILE)
        assert str(error).endswith(SHOWN)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301


def test_what_can_be_shown_stays_and_is_escaped_once():
    assert str(DataError("Größe: 'a\\n', 3 m/s² \U0001f600")) == "Größe: 'a\\n', 3 m/s² \U0001f600"
    assert str(DataError(str(DataError(HOSTILE)))) == SHOWN


@pytest.mark.parametrize("character", ["a", "\n", "\ud800"])
def test_what_is_quoted_is_shortened(character):
    """The header of an archive may have a name of 64 KB, which the error of a library quotes."""
    text = str(DataError(f"x.npz: {character * 70_000}"))
    assert len(text) < 5000
    assert text.startswith("x.npz: ")
    assert text.endswith("...")
    assert str(DataError("a" * 4500)) == "a" * 4500


def test_a_key_of_several_lines_is_named_in_one(tmp_path: Path):
    path = tmp_path / "settings.yaml"
    path.write_text('"no\\nsuch": 1\n"\\e[31mred": 2\n')
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert r"no\nsuch: unknown key" in str(caught.value)
    assert r"\x1b[31mred: unknown key" in str(caught.value)
    assert str(caught.value).isprintable()
