"""The maps of the code are true: paths, functions, every folder, the layers of the import contract."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "patchtst_har"
MAPS = ("ARCHITECTURE.md", "CONTRIBUTING.md")

# Made by the commands, or in a developer's folder only.
NOT_STORED = (".venv", "build/", "benches/results/", "dist/", "runs/")
QUOTED = re.compile(r"`([^`\s]+)`")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def quoted_in(page):
    """Return what stands in backticks on a page, without its code blocks."""
    return QUOTED.findall(FENCED.sub("", (ROOT / page).read_text(encoding="utf-8")))


def found(path):
    """Return a file or folder that a map names, from the root or from the package."""
    return next((base / path for base in (ROOT, PACKAGE) if (base / path).exists()), None)


def looks_like_a_path(text):
    plain = re.fullmatch(r"[\w.*/-]+", text) is not None
    return plain and (text.endswith((".py", ".pyi", ".cpp", ".hpp", ".md", ".toml")) or "/" in text)


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def defined_in_python(path, name):
    """Whether a module or class body defines a dotted name."""
    body = parsed(path).body
    for part in name.split("."):
        node = next((node for node in body if part in names_of(node)), None)
        if node is None:
            return False
        body = getattr(node, "body", [])
    return True


def names_of(node):
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def defined_in_cpp(path, name):
    """Whether a function is defined in a file, by its name: a return type or a class stands before it."""
    text = path.read_text(encoding="utf-8")
    if re.search(rf"^(?:class|struct) {re.escape(name)} ", text, re.MULTILINE):
        return True
    return re.search(rf"^\S.*\b{re.escape(name)}\(", text, re.MULTILINE) is not None


@pytest.mark.parametrize("page", MAPS)
def test_every_path_that_a_map_names_exists(page):
    paths = [text.partition("::")[0] for text in quoted_in(page)]
    paths = [path for path in paths if looks_like_a_path(path) and not path.startswith(NOT_STORED)]
    assert len(paths) > 20
    assert [path for path in paths if "*" not in path and found(path) is None] == []


@pytest.mark.parametrize("page", MAPS)
@pytest.mark.slow
def test_every_function_that_a_map_names_is_where_it_says(page):
    named = [text.split("::", 1) for text in quoted_in(page) if ".py::" in text or ".cpp::" in text]
    assert len(named) > 10
    wrong = []
    for path, name in named:
        file = found(path)
        check = defined_in_python if path.endswith(".py") else defined_in_cpp
        if file is None or not check(file, name):
            wrong.append(f"{path}::{name}")
    assert wrong == []


def test_every_folder_has_its_line():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)/` \|", page, re.MULTILINE)
    packages = {str(file.parent.relative_to(PACKAGE)) for file in PACKAGE.rglob("__init__.py")} - {"."}
    assert sorted(packages - set(rows)) == []
    kernels = {f"csrc/{folder.name}" for folder in (ROOT / "csrc").iterdir() if folder.is_dir()}
    assert sorted(kernels - set(rows)) == []
    assert [row for row in rows if rows.count(row) > 1] == []


def test_every_module_at_the_top_of_the_package_has_its_line():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = {file.name for file in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert sorted(modules - set(re.findall(r"^\| `([^`]+\.py)` \|", page, re.MULTILINE))) == []


def contract_layers():
    """Return the names in each layer of the import contract, top first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    return [layer.split(" | ") for layer in contract["layers"]]


def lazy_entries():
    """Yield (package, name, module) of every call of `lazy_exports`: imports that no contract sees."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "lazy_exports":
                package = ".".join(("patchtst_har", *file.parent.relative_to(PACKAGE).parts))
                for module, names in ast.literal_eval(node.args[1]).items():
                    yield from ((package, name, module) for name in names)


def test_the_layers_are_those_of_the_import_contract():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = page.partition("## Who may import whom")[2]
    layers = [QUOTED.findall(line) for line in re.findall(r"^\d+\. (`.*)$", listed, re.MULTILINE)]
    assert layers == contract_layers()


@pytest.mark.slow
def test_lazy_names_point_upwards_in_the_two_documented_places_only():
    rank = {name: -row for row, names in enumerate(contract_layers()) for name in names}
    entries = [each for each in lazy_entries() if each[0] != "patchtst_har"]  # The top may name anything.
    assert {package for package, _, _ in entries} >= {"patchtst_har.data", "patchtst_har.evaluation"}
    upwards = {
        (package.split(".")[1], module.split(".")[1])
        for package, _, module in entries
        if rank[module.split(".")[1]] > rank[package.split(".")[1]]
    }
    assert upwards == {("data", "datasets"), ("evaluation", "benchmark")}
    assert {name for package, name, module in entries if ".benchmark." in module} == {"ComprehensiveProfiler"}
