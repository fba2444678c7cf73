"""The schema of every JSON document that a run, a prediction or a benchmark leaves, and how they are read.

May import `architecture`, `smoothing`, `config`, `features`, `support` and `errors`.
"""
