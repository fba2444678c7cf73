"""Fuzzing of everything that reads what strangers may have written; see docs/robustness.md.

Not part of the package. `frame` says what counts as a finding, `choices` turns bytes into valid files with
odd contents, `targets` has one function for each reader, ``python -m fuzz`` runs them under atheris.
"""
