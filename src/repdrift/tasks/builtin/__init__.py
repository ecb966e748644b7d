"""One file per task; the registry finds it."""
