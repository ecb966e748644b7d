"""One file per measure; the registry finds it."""
