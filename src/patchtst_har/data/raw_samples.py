"""Recordings as DataFrames under their earlier import path."""

import sys

from patchtst_har.data import frames

sys.modules[__name__] = frames
