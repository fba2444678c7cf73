"""MODEL_CARD.md: what a model is, what it saw, how well it did, where not to use it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path

import patchtst_har
from patchtst_har.config import ExperimentConfig
from patchtst_har.records.run import Calibration, Pretraining, Provenance
from patchtst_har.support.files import atomic_write_text
from patchtst_har.support.formatting import metric_text

MODEL_CARD_FILE = "MODEL_CARD.md"

_SMOOTHING = {
    "none": "none: every window is labelled for itself.",
    "viterbi": "hidden Markov model; it uses the whole recording, past and future: no real-time result.",
}


def write_model_card(
    folder: Path,
    config: ExperimentConfig,
    classes: tuple[str, ...],
    provenance: Provenance,
    metrics: Mapping[str, float],
) -> None:
    """Write the card into a model folder.

    Parameters
    ----------
    folder : pathlib.Path
        The model folder.
    config : ExperimentConfig
        What the model was trained with.
    classes : tuple of str
        Class names.
    provenance : Provenance
        What it was trained and tested on.
    metrics : mapping of str to float
        What `PatchTSTTrainer.train` returns.
    """
    data, split = config.data, provenance.split
    groups = "\n".join(
        f"| {name} | {len(getattr(split, name))} | {n_windows} |"
        for name, n_windows in provenance.n_windows.items()
    )
    names = ", ".join(map(_literal, classes))
    plugins = ", ".join(map(_literal, config.features.plugins)) or "none"
    text = f"""# {_literal(config.experiment_name)}

PatchTST encoder with rotary attention, statistical and topological feature tokens; patchtst-har
{patchtst_har.__version__}.

- **Input**: tri-axial wrist acceleration in g, {data.sample_rate_hz:g} Hz, windows of {data.window_size}
  samples, a decision every {data.hop_size} samples.
- **Feature groups**: {", ".join(config.features.groups)}.
- **Feature plug-ins** (must be registered where the model is loaded): {plugins}.
- **Output**: one of {len(classes)} classes: {names}. A movement that is none of these still
  gets one of these labels.
- **Smoothing**: {_SMOOTHING[config.smoothing.method]}
- **Calibration**: {_calibration(provenance.temperature)}
{_beginning(provenance)}
## Data

| group | participants | windows |
|---|---|---|
{groups}

The groups share no participant. Fingerprint of the split: `{split.fingerprint}`.

{_scores(provenance, metrics)}

## Limits

{"The scores hold" if split.test or split.val else "The model is"} for people, devices, wrists and activities
like those above. A sensor worn elsewhere, another calibration or other activities were not tested.
Not a medical device.
"""
    atomic_write_text(folder / MODEL_CARD_FILE, text)


def write_encoder_card(
    folder: Path, config: ExperimentConfig, provenance: Provenance, made: Pretraining
) -> None:
    """Write the card of a model that was pre-trained and gives no labels (see `write_model_card`)."""
    data, split = config.data, provenance.split
    if made.zero_loss is None:
        score = f"macro F1 over the classes of all data sets {made.macro_f1:.3f}"
    else:
        score = (
            f"squared error on hidden samples {made.loss:.3f} (zeros as the prediction: {made.zero_loss:.3f})"
        )
    text = f"""# {_literal(folder.resolve().name)}

PatchTST encoder for fine-tuning (`patchtst-har train --init`); it gives no labels. patchtst-har
{patchtst_har.__version__}.

- **Input**: tri-axial wrist acceleration in g, {data.sample_rate_hz:g} Hz, windows of {data.window_size}
  samples.
- **Feature groups**: {", ".join(config.features.groups)}.
- **Pre-training**: {made.kind}, on {", ".join(map(_literal, made.data))}.
- **People**: {len(split.train)} trained it, {len(split.val)} validated.
- **Not trained**: {", ".join(provenance.untrained)}.
- **Score**, on the {"validation" if split.val else "training"} people: {score}.

Not a medical device.
"""
    atomic_write_text(folder / MODEL_CARD_FILE, text)


def _beginning(provenance: Provenance) -> str:
    if (init := provenance.init) is None:
        return ""
    name, weights = _literal(init.name), init.weights[:12]
    return f"- **Training began with**: {name} (weights `{weights}`), fine-tuned: {init.fine_tune}.\n"


def _scores(provenance: Provenance, metrics: Mapping[str, float]) -> str:
    split = provenance.split
    if not (split.test or split.val):
        return "## No scores\n\nAll participants were trained on: nobody was left to validate or test on."
    rows = "\n".join(f"| {name} | {metric_text(name, value, 4)} |" for name, value in metrics.items())
    return f"""## Scores on the {"test" if split.test else "validation"} participants

`final_` is after smoothing, `raw_` before it.

| score | value |
|---|---|
{rows}"""


def _calibration(found: Calibration | None) -> str:
    """Return what was done to the logits, and what it brought."""
    if found is None:
        return "none: the logits are as trained."
    gains = {"validation": found.validation, "test": found.test}
    errors = ", ".join(
        f"{gain.ece_before:.3f} before and {gain.ece_after:.3f} after on the {who} participants"
        for who, gain in gains.items()
        if gain is not None
    )
    done = f"logits divided by a temperature of {found.temperature:.3f}, fitted on {found.fitted_on}"
    return f"{done};\n  expected calibration error {errors}." if errors else f"{done}."


def _literal(name: str) -> str:
    """Return Markdown that shows a name as it is: neither HTML nor a link, an image or code."""
    return re.sub(r"([\\`\[\]])", r"\\\1", html.escape(name, quote=False))
