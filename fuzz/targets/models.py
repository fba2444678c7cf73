"""Model folders: JSON, safetensors, the smoother, provenance, an adaptation to a person."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np

from fuzz.choices import Choices, by_choice, changed_bytes, changed_document, two_ways
from fuzz.frame import Finding, Target, place
from patchtst_har import Recognizer
from patchtst_har.pretrained import pretrained_folders
from patchtst_har.smoothing import HMMSmoother

_JSON = ("config.json", "classes.json", "provenance.json", "smoothing.json", "summary.json")
_TENSORS = ("model.safetensors", "familiarity.safetensors", "adaptation.safetensors")
_LONGEST_WINDOW = 2000


@cache
def shipped_with_smoother() -> Path:
    """Return a copy of a shipped model, with a smoother that likes to stay."""
    folder = place() / "model"
    shutil.copytree(pretrained_folders()["wrist"], folder)
    n = len(json.loads((folder / "classes.json").read_text()))
    stay = np.full((n, n), 0.1 / n) + 0.9 * np.eye(n)
    smoother = HMMSmoother.from_parameters(np.full(n, 1 / n), stay, stay, n_classes=n, hop_s=10.0)
    smoother.save(folder / "smoothing.json")
    return folder


@cache
def _model() -> tuple[Path, dict[str, bytes]]:
    """Return a model folder with an adaptation, and its files."""
    folder = shipped_with_smoother()
    recognizer = Recognizer.from_pretrained(folder)
    rng = np.random.default_rng(0)
    windows = rng.normal(0, 0.3, (6, recognizer.config.data.window_size, 3)).astype(np.float32)
    adapted = recognizer.adapt(windows, [recognizer.classes[i % 2] for i in range(6)])
    adapted.save_adaptation(folder / "adaptation.safetensors")
    return folder, {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name in (*_JSON, *_TENSORS)
    }


def changed_tensors(content: bytes, choices: Choices) -> bytes:
    """Return a safetensors file whose header was changed, and whose length fits it unless it is spoilt."""
    length = int.from_bytes(content[:8], "little")
    header, payload = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = choices.one_of(sorted(set(header) - {"__metadata__"}))
    kind = choices.below(8)
    if kind == 0:
        header[name]["dtype"] = choices.one_of(
            ("F16", "BF16", "F64", "I64", "BOOL", "F8_E4M3", "C64", "U8", "")
        )
    elif kind == 1:
        header[name]["shape"] = [choices.whole() for _ in range(choices.below(5))]
    elif kind == 2:
        header[name]["data_offsets"] = [choices.whole(), choices.whole()]
    elif kind == 3:
        header[choices.text()] = header.pop(name)
    elif kind == 4:
        numbers = np.frombuffer(payload, np.uint8).copy()
        begin, end = header[name]["data_offsets"]
        odd = np.array([choices.number() for _ in range(8)], np.float64)
        with np.errstate(over="ignore"):
            bits = odd.astype(np.float32).view(np.uint8)
        place_of = begin + 4 * choices.below(max((end - begin) // 4, 1))
        n = min(len(bits), end - place_of)
        numbers[place_of : place_of + n] = bits[:n]
        payload = numbers.tobytes()
    elif kind == 5:
        header["__metadata__"] = changed_document(header.get("__metadata__", {"patchtst_har": "{}"}), choices)
    else:
        header = changed_document(header, choices)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    size = len(text) if choices.below(6) < 5 else choices.whole() & (2**64 - 1)
    changed = size.to_bytes(8, "little") + text + payload
    return changed_bytes(changed, choices) if choices.below(6) == 5 else changed


def _changed_json(content: bytes, choices: Choices) -> bytes:
    document = changed_document(json.loads(content), choices)
    changed = json.dumps(document, ensure_ascii=choices.flag()).encode("utf-8", "surrogatepass")
    return changed_bytes(changed, choices) if choices.below(4) == 3 else changed


def _use_model(data: bytes) -> None:
    folder, files = _model()
    content, choices = two_ways(data)
    changed: dict[str, bytes] = {}
    if content is not None:
        names = sorted(files)
        changed[names[content[0] % len(names)] if content else names[0]] = content[1:]
    else:
        for _ in range(choices.below(3)):
            name = choices.one_of(sorted(files))
            change = _changed_json if name in _JSON else changed_tensors
            changed[name] = change(files[name], choices)
    for name in changed:
        (folder / name).write_bytes(changed[name])
    try:
        _recognise(folder, choices)
    finally:
        for name in changed:
            (folder / name).write_bytes(files[name])


def _recognise(folder: Path, choices: Choices) -> None:
    smoothing = choices.one_of((None, "none", "hmm", "filter", "lag:2"))
    adaptation = folder / "adaptation.safetensors" if choices.below(3) == 2 else None
    recognizer = Recognizer.from_pretrained(folder, smoothing=smoothing, adaptation=adaptation)
    length = recognizer.config.data.window_size
    if length > _LONGEST_WINDOW:
        return
    windows = np.full((2, length, 3), 0.5, np.float32)
    found = recognizer.predict(windows, np.array([0, 10**10]))
    if not (np.abs(found.probabilities.sum(axis=1) - 1) < 1e-6).all():
        raise Finding("promise: probabilities add up to 1")


TARGETS = {
    "model": Target(
        "model folders",
        lambda: by_choice(24),
        _use_model,
    ),
}
