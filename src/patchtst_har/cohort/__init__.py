"""Many recordings: which are meant, what is finished, workers, collated tables.

May import `reports` and everything below. `label_recordings` does it all.
"""

from typing import TYPE_CHECKING

from patchtst_har.support.lazy import lazy_exports

if TYPE_CHECKING:
    from patchtst_har.cohort.run import CohortResult, label_recordings
    from patchtst_har.cohort.settings import LabelOptions, Outputs
else:
    __getattr__, __dir__, _ = lazy_exports(
        __name__,
        {
            "patchtst_har.cohort.run": ["CohortResult", "label_recordings"],
            "patchtst_har.cohort.settings": ["LabelOptions", "Outputs"],
        },
    )

__all__ = ["CohortResult", "LabelOptions", "Outputs", "label_recordings"]
