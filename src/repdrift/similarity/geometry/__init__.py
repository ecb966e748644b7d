"""Samples as points: distances, neighbours, rows of length 1."""
