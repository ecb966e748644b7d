"""From the tidy table to what can be said: reductions, tested claims, layers, patterns."""

from repdrift.drift.inference.conclusions import Conclusions, draw_conclusions

__all__ = ["Conclusions", "draw_conclusions"]
