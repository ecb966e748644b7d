"""Likeness of the changes of any two models, in a study or a comparison: weights, drift by layer, and directions."""
