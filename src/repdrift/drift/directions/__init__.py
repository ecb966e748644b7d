"""Directions in which representations moved: from the rows of two models to records, for comparisons and studies alike."""
