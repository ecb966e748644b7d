"""Uncertainty over samples: the jackknife of single samples and of groups, the bootstrap, intervals."""
