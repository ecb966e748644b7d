"""One file for each kind of outcome."""
