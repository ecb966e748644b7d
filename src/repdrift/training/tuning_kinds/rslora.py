"""rsLoRA (Kalajdzievski 2023): LoRA scaled by alpha / sqrt(rank), so that a high rank learns as fast as a low one."""

from __future__ import annotations

from repdrift.training.tuning_kind import tuning_kinds
from repdrift.training.tuning_kinds.lora import Lora

tuning_kinds.add("rslora", Lora("rslora", "rsLoRA", rslora=True))
