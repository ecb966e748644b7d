"""Token outcomes: one number for each token, from what two models predict there. One file each, found by the registry."""
