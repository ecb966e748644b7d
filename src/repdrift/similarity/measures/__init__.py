"""Measures and descriptors, one file a family; the registry finds them."""
