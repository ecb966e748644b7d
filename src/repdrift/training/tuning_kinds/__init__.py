"""Kinds of tuning, one file each. A file registers its kind in `tuning_kinds` of `repdrift.training.tuning_kind`."""
