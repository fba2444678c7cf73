"""What the timed variants are called. Needs no torch."""

FUSED = "fused"
PLAIN = "rotation and torch SDPA"
IN_A_GRAPH = ", in a graph"
"""Ends the name of a variant that replays a CUDA graph."""
