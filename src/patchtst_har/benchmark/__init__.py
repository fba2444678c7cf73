"""How fast: closed and open loops over a model, workloads, budgets and verdicts, profiles, comparisons.

May import everything from `evaluation` down.
"""
