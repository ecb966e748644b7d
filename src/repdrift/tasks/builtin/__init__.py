"""The built-in tasks: one file for each, found by the registry."""
