"""Temporal smoothing: from window probabilities to a sequence of activities.

May import `config` and everything below; needs no torch.
"""

from patchtst_har.smoothing.hmm import HMMSmoother
from patchtst_har.smoothing.sequences import sequence_ids

__all__ = ["HMMSmoother", "sequence_ids"]
