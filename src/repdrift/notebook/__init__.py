"""Results in Python and in notebooks: read from their files, as tables, as figures, and as they are shown at the end of a cell."""
