"""Tools that know nothing of activities: files, settings, logging, the host, percentiles.

Imports only `errors`.
"""
