"""The models that are asked about, with why one cannot be compared, where that shows before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repdrift.models import ModelSource, depth_of, read_json_object


@dataclass(frozen=True)
class Candidate:
    """One tuned model. `name`: short and unique. `refused`: why it cannot be compared; None as far as is known."""

    name: str
    source: ModelSource
    refused: str | None = None

    @property
    def kind(self) -> Literal["full model", "PEFT adapter"]:
        """What the files hold."""
        return "PEFT adapter" if self.source.is_adapter else "full model"


def depth_fault(base: ModelSource, tuned: ModelSource) -> str | None:
    """Why the layers of the two have no counterparts, by their configurations; None if they have, or it is not said.

    Raises ModelError if a configuration cannot be read.
    """
    if tuned.is_adapter:
        return None
    ours, theirs = _depth(base), _depth(tuned)
    if ours is None or theirs is None or ours == theirs:
        return None
    return layer_count_fault(theirs, ours)


def layer_count_fault(theirs: int, ours: int) -> str:
    """Why models of other depths are not compared, in words."""
    return (
        f"it has {theirs} layers, the base model {ours}: layer i of one has no counterpart in the other. "
        "Compare it with the model it was tuned from."
    )


def unique_names(refs: list[str]) -> list[str]:
    """The last parts of paths or ids that tell them apart: run_a/final_model and run_b/final_model give both parts."""
    parts = [ref.rstrip("/").replace("\\", "/").split("/") for ref in refs]
    for length in range(1, max(len(p) for p in parts) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{ref} ({number})" for number, ref in enumerate(refs, start=1)]


def _depth(source: ModelSource) -> int | None:
    path = source.path / "config.json"
    return depth_of(read_json_object(path)) if path.is_file() else None
