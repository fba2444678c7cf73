"""Building blocks of the encoder, in the order in which the data meets them.

May import the attention of `models`, `architecture`, `config` and everything below.
"""
