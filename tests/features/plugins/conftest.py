import sys

import pytest

from patchtst_har.features import registered_features, unregister_feature


@pytest.fixture
def registry():
    """Forget what a test registers."""
    before = set(registered_features())
    yield
    for name in set(registered_features()) - before:
        unregister_feature(name)


@pytest.fixture
def entry_points(registry, monkeypatch, tmp_path):
    """Give a function that installs a package: one module, and entry points; afterwards it is gone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    installed = []

    def install(package, source, declared):
        sys.modules.pop(package, None)
        installed.append(package)
        (tmp_path / f"{package}.py").write_text(source)
        folder = tmp_path / f"{package}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "\n".join(f"{name} = {value}" for name, value in declared.items())
        (folder / "entry_points.txt").write_text(f"[patchtst_har.features]\n{lines}\n")

    yield install
    for package in installed:
        sys.modules.pop(package, None)
