"""Stores: representation sets on disk, and their copies elsewhere."""
