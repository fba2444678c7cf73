import json
import logging
import random
from importlib import metadata

import numpy as np
import pytest
import torch

import patchtst_har
from patchtst_har.errors import ConfigError
from patchtst_har.reproducibility import environment, resolve_device, seed_everything
from patchtst_har.support.host import package_versions


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002, S311


def test_a_seed_fixes_all_generators():
    seed_everything(7)
    first = draws()
    seed_everything(7)
    assert draws() == first
    seed_everything(8)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_deterministic_algorithms_are_switched_both_ways():
    seed_everything(0, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    seed_everything(0)
    assert torch.are_deterministic_algorithms_enabled()
    seed_everything(0, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_falling_back_to_the_cpu_is_logged(caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.INFO, logger="patchtst_har"):
        assert resolve_device("auto") == torch.device("cpu")
    assert "CPU (torch sees no CUDA device)" in caplog.text
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"training\.device: cuda was asked for"):
        resolve_device("cuda")


def test_the_environment_is_json_and_names_versions():
    facts = json.loads(json.dumps(environment()))
    assert facts["patchtst_har"] == patchtst_har.__version__
    assert facts["numpy"] == np.__version__
    assert facts["torch"] == torch.__version__
    assert facts["n_cores"] >= 1


def test_what_is_not_installed_is_recorded_as_that():
    """A training on a machine without the clustering libraries must not fail for the record of it."""
    found = package_versions(["numpy", "a-package-that-is-not-there"])
    assert found == {"numpy": np.__version__, "a-package-that-is-not-there": "not installed"}


def test_environment_without_ripser_and_hmmlearn_is_recorded(monkeypatch):
    version = metadata.version

    def lacks(name):
        if name in ("ripser", "hmmlearn"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", lacks)
    facts = environment()
    assert (facts["ripser"], facts["hmmlearn"]) == ("not installed", "not installed")
    assert facts["scipy"] == version("scipy")
