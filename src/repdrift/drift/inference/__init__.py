"""From the tidy table to what can be said: reductions, tested claims, layers, patterns."""

from repdrift.drift.inference.infer import Inference, infer

__all__ = ["Inference", "infer"]
