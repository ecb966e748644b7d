"""Spaces that features span, and their axes: principal components, canonical correlations, regression, rotation."""
