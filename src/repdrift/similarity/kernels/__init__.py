"""Kernels of samples: HSIC, standardised features, the Gaussian kernel, centred cosines."""
