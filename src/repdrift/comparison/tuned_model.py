"""A tuned model that is to be compared, and faults that show before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repdrift.models import ModelSource, depth_of, load_config, read_json_object


@dataclass(frozen=True)
class TunedModel:
    """One model that was tuned from the base model.

    name: short, and unique in the comparison. refused: why it cannot be compared; None if no reason is known yet.
    notes: sentences, known before loading, that change how its numbers are to be read.
    """

    name: str
    source: ModelSource
    refused: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["full model", "PEFT adapter"]:
        """Tells what the files hold."""
        return "PEFT adapter" if self.source.is_adapter else "full model"


def depth_fault(base: ModelSource, tuned: ModelSource) -> str | None:
    """Compares the depths in the two configurations. Returns the fault in words, or None if there is none.

    There is no fault either where a configuration does not tell the depth. Raises ModelError if one cannot be read.
    """
    if tuned.is_adapter:
        return None
    base_depth, tuned_depth = _depth(base), _depth(tuned)
    if base_depth is None or tuned_depth is None or base_depth == tuned_depth:
        return None
    return layer_count_fault(tuned_depth, base_depth)


def layer_count_fault(tuned_depth: int, base_depth: int) -> str:
    """Says in words why models of different depths are not compared."""
    return (
        f"it has {tuned_depth} layers, the base model {base_depth}: layer i of one has no counterpart in the other. "
        "Compare it with the model it was tuned from."
    )


def unique_names(refs: list[str]) -> list[str]:
    """Shortens paths or ids to their last parts, as many as tell them apart.

    For example run_a/final_model and run_b/final_model keep both parts.
    """
    parts = [ref.rstrip("/").replace("\\", "/").split("/") for ref in refs]
    for length in range(1, max(len(p) for p in parts) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{ref} ({number})" for number, ref in enumerate(refs, start=1)]


def _depth(source: ModelSource) -> int | None:
    if source.gguf_file:
        return depth_of(load_config(source))
    path = source.path / "config.json"
    return depth_of(read_json_object(path)) if path.is_file() else None
