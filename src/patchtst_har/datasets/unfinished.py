"""What a preparation has finished so far, kept until its data set is whole: an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from patchtst_har.datasets.prepared import content_of
from patchtst_har.errors import DataError
from patchtst_har.support.files import atomic_write_json, ensure_folder, read_json

logger = logging.getLogger(__name__)

FOLDER = "unfinished"
_TYPES: dict[str, Any] = {"digest": str, "classes": list, "facts": dict}
_FORMAT_VERSION = 1
"""To be changed with the rules by which windows are cut, or with what `Unfinished.keep` is given."""


def key_of(settings: Any, source: Path) -> str:
    """Identify a recording's content and the settings that its windows depend on.

    Parameters
    ----------
    settings : JSON value
        All that decides on the windows.
    source : pathlib.Path
        The recording.

    Raises
    ------
    OSError
        If the recording cannot be read.
    """
    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    text = json.dumps([_FORMAT_VERSION, content, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Unfinished:
    """Notes on the participants of a data set whose files are written, one file each.

    Parameters
    ----------
    target : pathlib.Path
        Folder in which the data set is being made; the notes are in `FOLDER` below it.
    """

    def __init__(self, target: Path) -> None:
        self._target, self._folder = target, target / FOLDER

    def keep(self, participant: str, key: str, facts: dict[str, Any]) -> None:
        """Note that a participant's file is written, with `facts`: ``digest, classes, facts``.

        Raises
        ------
        OSError
            If the note cannot be written.
        """
        ensure_folder(self._folder)
        note = {"key": key, "content": self._content(participant), "facts": facts}
        atomic_write_json(self._folder / f"{participant}.json", note)

    def find(self, participant: str, key: str) -> dict[str, Any] | None:
        """Return what was noted of a participant; None unless its file is unchanged and has this key."""
        path = self._folder / f"{participant}.json"
        try:
            note = read_json(path)
            same = note["key"] == key and note["content"] == self._content(participant) is not None
            facts = {name: _TYPES[name](note["facts"][name]) for name in _TYPES}
            bytes.fromhex(facts["digest"])
        except FileNotFoundError:
            return None
        except (DataError, OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s: not used (%s)", path, error)
            return None
        return facts if same else None

    def remove(self) -> None:
        """Forget everything: the data set is whole."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _content(self, participant: str) -> list[list[int]] | None:
        content = content_of(self._target / f"{participant}.npz")
        return None if content is None else [list(member) for member in content]
