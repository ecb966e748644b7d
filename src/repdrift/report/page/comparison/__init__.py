"""The page of a comparison of a base model with models tuned from it."""
