"""The API reference has every public name, and every docstring there has what a caller needs."""

import ast
import inspect
import re
import textwrap
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pkgutil import walk_packages

import pytest

import patchtst_har

API = Path(__file__).parents[1] / "docs" / "api"
DIRECTIVE = re.compile(
    r"^\.\. (currentmodule|auto\w+|py:data):: (\w[\w.]*)\S*\n((?:   :.*\n)*)", re.MULTILINE
)
SECTIONS = (
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "Notes",
    "See Also",
    "Examples",
    "References",
)


def documented():
    """Return {(module, name): members that are listed, None for all} of the API pages."""
    entries = {}
    for page in sorted(API.glob("*.md")):
        module = ""
        for kind, name, options in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind == "currentmodule":
                module = name
            else:
                members = re.search(r":members: ?(.*)", options)
                assert (module, name) not in entries, f"{module}.{name} stands twice"
                listed = members[1].split(", ") if members and members[1] else []
                entries[module, name] = None if members and not members[1] else listed
    return entries


ENTRIES = documented()


def public_names():
    """Return the names of `__all__` of every package that has it, but for the one that makes others lazy."""
    modules = [
        patchtst_har.__name__,
        *(module.name for module in walk_packages(patchtst_har.__path__, "patchtst_har.")),
    ]
    for name in modules:
        if not name.endswith(("__main__", "_core", "_triton_kernels", "support.lazy")):
            yield from ((name, public) for public in getattr(import_module(name), "__all__", ()))


def test_every_public_name_is_in_the_reference():
    known = {identity(*entry) for entry in ENTRIES}
    assert [
        f"{module}.{name}" for module, name in public_names() if identity(module, name) not in known
    ] == []


def identity(module, name):
    """Return the object, or the name of a constant: several packages may export one thing."""
    value = getattr(import_module(module), name)
    return id(value) if callable(value) else name


def callables():
    """Return the functions and classes of the reference, with the public methods of the latter."""
    for (module, name), members in ENTRIES.items():
        value = getattr(import_module(module), name)
        if inspect.isclass(value):
            yield f"{module}.{name}", value
            for member, function in vars(value).items():
                function = getattr(function, "__func__", function)
                listed = not member.startswith("_") if members is None else member in members
                if listed and inspect.isfunction(function):
                    yield f"{module}.{name}.{member}", function
        elif inspect.isroutine(value):
            yield f"{module}.{name}", value


CALLABLES = dict(callables())


@pytest.mark.parametrize("name", CALLABLES)
@pytest.mark.slow
def test_docstrings_have_sections_of_the_known_form(name):
    doc = inspect.getdoc(CALLABLES[name])
    assert doc
    sections_of(doc)


@pytest.mark.parametrize("name", CALLABLES)
@pytest.mark.slow
def test_docstrings_say_what_goes_in_and_what_comes_back(name):
    value = CALLABLES[name]
    doc = inspect.getdoc(value)
    if isinstance(value, type) and issubclass(value, BaseException):
        return
    sections = sections_of(doc)
    assert parameters_of(value) - described_in(doc, sections) - fields_described_in(name, value) == set()
    if not isinstance(value, type) and returns_something(value):
        assert {"Returns", "Yields"} & sections.keys() or re.match(r"(Return|Yield|Whether) ?", doc)


def sections_of(doc):
    """Return {heading: text} of a numpydoc docstring; underlines must be as long as their headings."""
    pieces = re.split(r"^(\w[\w ]*)\n(-+)$", doc, flags=re.MULTILINE)
    for heading, line in zip(pieces[1::3], pieces[2::3], strict=True):
        assert heading in SECTIONS, heading
        assert len(line) == len(heading), heading
    return dict(zip(pieces[1::3], pieces[3::3], strict=True))


def parameters_of(value):
    names = inspect.signature(value).parameters
    return {name for name in names if not name.startswith("_") and name not in ("self", "cls")}


def described_in(doc, sections):
    """Return the parameters that a docstring describes: in its section, or in a sentence if it has none."""
    entries = "\n".join(sections.get(section, "") for section in ("Parameters", "Attributes"))
    listed = re.findall(r"^\*{0,2}(\w[\w, ]*?)(?: : .*)?$", entries, re.MULTILINE)
    found = {name.strip() for names in listed for name in names.split(",")}
    other = re.search(r"[Pp]arameters (?:and errors )?(?:are those of|as) `([\w.]+)`", doc)
    if other:
        found |= set().union(
            *(parameters_of(CALLABLES[name]) for name in CALLABLES if name.endswith(f".{other[1]}"))
        )
    return found if "Parameters" in sections else found | set(re.findall(r"`(\w+)`", doc))


def fields_described_in(name, value):
    """Return the fields of a class that have docstrings; of a method, what its class says of all methods."""
    if not isinstance(value, type):
        owner = inspect.getdoc(CALLABLES.get(name.rpartition(".")[0])) or ""
        return set(re.findall(r"`(\w+)`", owner.split("\n----", 1)[0]))
    found = set()
    for kind in value.__mro__[:-1]:
        if kind.__module__.startswith("patchtst_har"):
            body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
            for field, text in pairwise(body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    found.add(field.target.id)
    return found


def returns_something(value):
    annotation = inspect.signature(value).return_annotation
    return annotation not in (None, "None", inspect.Signature.empty, "Self")
