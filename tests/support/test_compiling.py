import errno
import importlib.util

import numba.core.caching
import pytest

from patchtst_har.support.compiling import compiled


@pytest.fixture
def double(tmp_path):
    """A function that stands in a file, so that its compiled code can be kept."""
    path = tmp_path / "doubling.py"
    path.write_text("def double(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("doubling", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


def test_compiled_code_is_found_again(double):
    assert compiled(double)(2) == 4
    again = compiled(double)
    assert again(2) == 4
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_read_only_installation_compiles_without_files(double, tmp_path, monkeypatch, caplog):
    """Also without a home folder, as in containers."""
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    assert compiled(double)(2) == 4
    assert not list(tmp_path.rglob("*.nb*"))
    assert not caplog.records


@pytest.mark.parametrize(("files", "kept"), [("*.nbi", 0), ("*.nbc", 100)])
def test_damaged_files_are_named_and_not_used(double, tmp_path, caplog, files, kept):
    compiled(double)(2)
    (path,) = (tmp_path / "__pycache__").glob(files)
    path.write_bytes(path.read_bytes()[:kept])
    assert compiled(double)(2) == 4
    (record,) = caplog.records
    assert record.message.startswith(f"double: compiled code in {tmp_path / '__pycache__'} cannot be used")


def test_a_full_disk_is_a_warning(double, monkeypatch, caplog):
    def save(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", save)
    assert compiled(double)(2) == 4
    (record,) = caplog.records
    assert "No space left on device" in record.message
