"""JSON and YAML that may come from anyone: bounded before it is parsed, and never ambiguous."""

from __future__ import annotations

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from patchtst_har.errors import DataError

MOST_JSON_BYTES = 16 * 2**20
"""Largest JSON file that is read, unless a caller asks for more."""
MOST_YAML_BYTES = 2**20
"""Largest YAML file that is read."""
_MOST_DEPTH = 64
_MOST_NODES = 200_000
_MOST_DIGITS = 400
_MOST_INT = 2**63 - 1


def read_text(path: Path, most_bytes: int, *, may_be_pipe: bool = False) -> str:
    """Return a UTF-8 file's text.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    most_bytes : int
        A larger one is refused, without reading further.
    may_be_pipe : bool
        Also read pipes, which may block: for files that a user names, not for those found in a folder.

    Raises
    ------
    DataError
        If it is not a regular file, larger than `most_bytes`, or not UTF-8; the message names it.
    OSError
        If it cannot be opened.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (may_be_pipe and stat.S_ISFIFO(mode))):
        raise DataError(f"{path}: is not a regular file")
    # Read first: the size of a growing file, or of one in /proc, says nothing.
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise DataError(f"{path}: is larger than the {most_bytes:,} bytes that are read")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from error


def parse_json(text: str, source: str) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    DataError
        If it is not JSON (NaN and infinity are not), nested too deeply, has a key twice in one object,
        a number of absurd length, beyond int64 or float64, or half a surrogate pair;
        the message names `source`.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
        # Half a surrogate pair can be written in JSON, but nowhere be shown or stored.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise DataError(
            f"{source}: not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        ) from error
    except RecursionError as error:
        raise DataError(f"{source}: is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{source}: has half a surrogate pair (\\ud800 to \\udfff)") from error
    except _RefusedError as error:
        raise DataError(f"{source}: {error}") from error
    return value


def parse_yaml(text: str, source: str) -> Any:
    """Return the value of a YAML text of plain values; no tag constructs anything else.

    Raises
    ------
    DataError
        If it is not YAML, nested too deeply, expands to too many nodes through its aliases, has a key twice
        in one mapping, or a value that its type does not have; the message names `source`.
    """
    try:
        _bound_yaml(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe constructor
    except yaml.YAMLError as error:
        raise DataError(f"{source}: not YAML ({' '.join(str(error).split())[:500]})") from error
    except _RefusedError as error:
        raise DataError(f"{source}: {error}") from error
    # What PyYAML's constructors let through: dates, numbers and tags without a value, and truth that is none.
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        raise DataError(f"{source}: a value is not of its type ({str(error)[:200]})") from error


class _RefusedError(Exception):
    """A text is well formed but not accepted; says why."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise _RefusedError(f"key {twice[:80]!r} stands twice in one object")
    return values


def _no_constant(name: str) -> Any:
    raise _RefusedError(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _RefusedError(f"a number has {len(digits)} digits")
    value = int(digits)
    # Readers turn numbers into arrays.
    if abs(value) > _MOST_INT:
        raise _RefusedError(f"the whole number {digits[:40]} is beyond 64 bits")
    return value


def _finite_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise _RefusedError(f"the number {digits[:40]} is beyond float64")
    return value


def _bound_yaml(text: str) -> None:
    """Walk the events of a text, without its values: depth and nodes are known before anything is built."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_Parser):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _RefusedError(f"alias *{event.anchor} stands inside what it stands for, or for nothing")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
            if len(open_nodes) > _MOST_DEPTH:
                raise _RefusedError(f"is nested more than {_MOST_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if total > _MOST_NODES:
            raise _RefusedError(f"has more than {_MOST_NODES:,} values (aliases expanded)")


# libyaml's parser where PyYAML was built with it: some ten times as fast.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc]
    """Builds plain values; a key that is written twice in a mapping is refused."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._seen: dict[int, yaml.MappingNode] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Once for each node, before merged keys are put into it: those may repeat its own.
        if id(node) not in self._seen:
            self._seen[id(node)] = node
            keys: set[Any] = set()
            for key_node, _ in node.value:
                key = (
                    (key_node.tag, key_node.value) if isinstance(key_node, yaml.ScalarNode) else id(key_node)
                )
                if key in keys:
                    line = key_node.start_mark.line + 1
                    text = str(key_node.value)[:80]
                    raise _RefusedError(f"line {line}: key {text!r} stands twice in one mapping")
                keys.add(key)
        super().flatten_mapping(node)
