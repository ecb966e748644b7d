"""DoRA (Liu et al. 2024): LoRA that trains the lengths of a weight's columns apart from their directions."""

from __future__ import annotations

from repdrift.training.tuning_kind import tuning_kinds
from repdrift.training.tuning_kinds.lora import Lora

tuning_kinds.add("dora", Lora("dora", "DoRA", dora=True))
