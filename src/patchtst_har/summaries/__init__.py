"""From the timeline of a recording to what people report: days, bouts, means over days.

May import `data`, `records` and what lies below them.
"""

from patchtst_har.summaries.recording import RecordingSummary, summarise
from patchtst_har.summaries.rules import BoutRules, SummaryRules

__all__ = ["BoutRules", "RecordingSummary", "SummaryRules", "summarise"]
