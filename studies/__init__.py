"""Studies of accuracy on real recordings: one command each, `python -m studies.NAME`; see README.md.

They use the package as a program of a user's own would; the package knows nothing of them.
"""
