"""Batches: which samples a model runs together, how many tokens fit into memory, and whether the model can run them."""
