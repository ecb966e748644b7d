"""One file per descriptor; the registry finds it."""
