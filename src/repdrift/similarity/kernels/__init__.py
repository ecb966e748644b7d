"""Kernels of samples: Gram matrices, HSIC, and what is a kernel in disguise."""
