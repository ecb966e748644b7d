"""Hand-written phrases from which the packaged sample texts are put together."""
