"""Launchers, one file each, found by the registry in `study/jobs/launcher.py`."""
