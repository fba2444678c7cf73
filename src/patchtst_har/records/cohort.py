"""What a folder of many labelled recordings says of itself: `cohort.json`, and who failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from patchtst_har.records.run import Record


class CohortSettings(Record):
    """`cohort.json`: all that the labels depend on besides the recordings; the same for all in a folder."""

    version: str
    """Of the package."""
    model: dict[str, Any]
    """Its name, and the SHA-256 of the files that labels depend on."""
    options: dict[str, Any]
    """How recordings are read and labelled; None: the default."""
    outputs: dict[str, Any]
    """Which files are written of each recording."""

    def fingerprint(self) -> str:
        """Return the SHA-256 by which a finished recording is recognised as made with these settings."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: CohortSettings) -> list[str]:
        """Return in words what differs from these settings in others."""
        mine, theirs = dict(_leaves("", self.to_json())), dict(_leaves("", other.to_json()))
        return [
            f"{name} was {_short(mine.get(name))}, is {_short(theirs.get(name))}"
            for name in dict.fromkeys([*mine, *theirs])
            if mine.get(name) != theirs.get(name)
        ]


class Failure(Record):
    """A recording that has no labels, and why: a row of `failures.csv`."""

    recording: str
    """Its name; "" if it is no usable one."""
    source: str
    error: str
    """The kind of error."""
    reason: str


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, inner)
    else:
        yield name, value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:16]}..."
