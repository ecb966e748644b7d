"""PiSSA (Meng et al. 2024): LoRA that starts from the main directions of the base weight."""

from __future__ import annotations

from repdrift.training.tuning_kind import tuning_kinds
from repdrift.training.tuning_kinds.lora import Lora

tuning_kinds.add("pissa", Lora("pissa", "PiSSA", initialisation="pissa"))
