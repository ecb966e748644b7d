"""Spaces that features span: principal components, canonical correlations, ridge regression, the best rotation."""
