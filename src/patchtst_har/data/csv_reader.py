"""The CSV reader under its earlier import path."""

import sys

from patchtst_har.data.formats import csv

sys.modules[__name__] = csv
