"""Directions in which representations moved: the mean difference of two models, what the differences are made of, and their likeness."""
