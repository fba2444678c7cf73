"""Records to HTML pages and SVG plots; needs no torch and computes no scores.

May import everything below `training` except `models`.
"""
