"""The types of options and arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from patchtst_har import presets
from patchtst_har.config import SplitName
from patchtst_har.pretrained import DEFAULT

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML configuration; defaults where it says nothing.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="SECTION.FIELD=VALUE", help="Override one field; may be repeated."),
]
Preset = Annotated[
    presets.Preset | None,
    typer.Option(
        "--preset",
        help="Features, architecture and training together; what --config and --set say comes before it. "
        "Left out: base, unless they describe a model.",
    ),
]
Split = Annotated[
    SplitName | None,
    typer.Option(
        "--split", help="Who trains, validates and tests, as --set data.split; two are of CAPTURE-24."
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", help="CSV that maps annotations to classes (column 'annotation')."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        help="Column of --labels to use, such as 'label:Walmsley2020'; needed if there are several.",
    ),
]
Units = Annotated[
    Literal["g", "m/s2", "mg"] | None,
    typer.Option(
        "--units",
        "--unit",
        help="Unit of the acceleration. Left out: g, and values that look like another unit are an error.",
    ),
]
TimeUnit = Annotated[
    Literal["s", "ms", "us", "ns"] | None,
    typer.Option(help="Unit of numeric time stamps (since 1970)."),
]
Timezone = Annotated[
    str | None,
    typer.Option(help="Zone of the wearer, such as Europe/Berlin, for stamps that carry a zone."),
]
Smoothing = Annotated[
    str | None,
    typer.Option(
        help="filter, lag:K (K later windows) or none. "
        "Left out: filter if the model has a smoother, else none."
    ),
]
OfflineSmoothing = Annotated[
    str | None,
    typer.Option(
        "--smoothing",
        help="none; hmm: over the whole recording; filter or lag:K: as a stream would. "
        "As training chose if left out.",
    ),
]
Adaptation = Annotated[
    Path | None,
    typer.Option("--adaptation", help="File that `adapt` wrote: recognise as adapted to that person."),
]
MinWearHours = Annotated[
    float,
    typer.Option(help="Hours of wear that make a day valid; means are over valid days."),
]
Inactive = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS,...",
        help="Classes that count as inactive, such as lying,sitting. Those of known names if left out.",
    ),
]
BoutMinutes = Annotated[float, typer.Option(help="Bouts shorter than this are left out.")]
OnError = Literal["raise", "record"]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Also refuse where --units was given, or no unit fits the magnitude at rest."
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log, not only warnings.")]

_MODEL = "A model folder, or the name of a shipped model (patchtst-har models)"
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=f"{_MODEL}.")]
ModelOption = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help=f"{_MODEL}.")]
DefaultModelArgument = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help=f"{_MODEL}; {DEFAULT} if left out.")
]
DefaultModelOption = Annotated[
    str | None, typer.Option("--model", "-m", metavar="MODEL", help=f"{_MODEL}; {DEFAULT} if left out.")
]
