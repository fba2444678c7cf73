"""Windows of many participants to training arrays: prepare, split, compute features once, cache.

May import `data` and everything below it.
"""
