"""Prepare the data sets of the studies: python -m studies.prepare DATA OUT.

DATA holds selfback_wrist and wisdm_watch, one NPZ file a person (see README.md). OUT gets `nine` (selfBACK,
nine classes), `six` (both, six classes) and `seglearn` (the watch recordings of the demonstration).
"""

from __future__ import annotations

from collections.abc import Sequence

from patchtst_har.datasets.prepare import count_windows
from studies.commands import folder, parser_of, progress_line, run_command
from studies.sets import SETS, prepare_set


def main(arguments: Sequence[str]) -> None:
    """Prepare the sets that are asked for."""
    parser = parser_of(__doc__, "prepare")
    parser.add_argument("data", type=folder, help="folder of the recordings")
    parser.add_argument("out", type=folder, help="folder of the prepared sets")
    parser.add_argument(
        "--set", dest="sets", choices=SETS, action="append", help="only this set (repeatable)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace sets that are there")
    options = parser.parse_args(arguments)
    for name in options.sets or SETS:
        prepared = prepare_set(
            name, options.data, options.out, overwrite=options.overwrite, on_progress=progress_line
        )
        counts, _ = count_windows(prepared)
        listed = ", ".join(f"{label} {count}" for label, count in counts.items())
        print(f"{name}: {len(prepared.participants)} people, {sum(counts.values())} windows: {listed}")


if __name__ == "__main__":
    run_command(main)
