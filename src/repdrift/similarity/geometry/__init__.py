"""Where samples lie: lengths, directions, distances, neighbours."""
