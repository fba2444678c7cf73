"""What a function's values depend on, as a hash: its code, and the constants and helpers it refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np


def fingerprint(function: FunctionType, outputs: Sequence[str]) -> str:
    """Return a SHA-256 that changes with the function's code, constants, helpers, or output names."""
    digest = hashlib.sha256(repr(tuple(outputs)).encode())
    _add_function(digest, function, set())
    return digest.hexdigest()


def _add_function(digest: Any, function: FunctionType, seen: set[int]) -> None:
    if id(function) in seen:
        return
    seen.add(id(function))
    _add_code(digest, function.__code__)
    digest.update(repr(function.__defaults__).encode())
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            _add_value(digest, name, function.__globals__[name], seen)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        # A cell that is still empty has no contents; the compiler refuses such a function.
        if cell != CellType():
            _add_value(digest, name, cell.cell_contents, seen)


def _add_code(digest: Any, code: CodeType) -> None:
    # Not the source text: a comment or another line number must not discard anybody's cache.
    digest.update(code.co_code)
    digest.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(digest, constant)
        else:
            # The order in which a set of strings is shown differs from process to process.
            shown = sorted(map(repr, constant)) if isinstance(constant, frozenset) else repr(constant)
            digest.update(str(shown).encode())


def _add_value(digest: Any, name: str, value: Any, seen: set[int]) -> None:
    digest.update(f"{name}:{type(value).__name__}:".encode())
    function = _plain_function(value)
    if function is not None:
        _add_function(digest, function, seen)
    elif isinstance(value, ModuleType):
        digest.update(f"{value.__name__} {getattr(value, '__version__', '')}".encode())
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            _add_value(digest, f"{name}[{i}]", item, seen)
    elif isinstance(value, type) and issubclass(value, Enum):
        for member in value:
            _add_value(digest, member.name, member.value, seen)
    elif isinstance(value, bool | int | float | complex | str | bytes | np.generic | Enum):
        digest.update(repr(value).encode())


def _plain_function(value: Any) -> FunctionType | None:
    """Return a function, or the one that numba's njit, vectorize or cfunc compiled; None of anything else."""
    if isinstance(value, FunctionType):
        return value
    inner = getattr(value, "py_func", getattr(value, "__wrapped__", None))
    return inner if isinstance(inner, FunctionType) else None


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)
