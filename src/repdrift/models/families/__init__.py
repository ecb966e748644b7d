"""Model families whose blocks cannot be read off the structure: one file for each family, which the registry finds."""
