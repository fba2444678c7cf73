"""Searching for settings: a space of them, trials on validation participants, the best one.

May import `training` and what lies below it. Only this folder imports Optuna.
"""
