"""A tuned model that is to be compared, and faults that show before its weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from repdrift.comparison.own_tokens import OwnReading
from repdrift.comparison.setting_notes import setting_notes
from repdrift.models import ModelSource, depth_of, load_config, read_gguf_header, read_json_object, width_of


@dataclass(frozen=True)
class TunedModel:
    """One model that was tuned from the base model.

    name: short, and unique in the comparison. refused: why it cannot be compared; None if no reason is known yet.
    notes: sentences, known before loading, that change how its numbers are to be read. unpaired: why its layers have no counterparts
    in the base model, one to one, so that the layer grid alone compares them; None if no reason is known yet. own: how it reads the texts with a
    tokenizer of its own; None: it is given the base model's tokens.
    """

    name: str
    source: ModelSource
    refused: str | None = None
    notes: tuple[str, ...] = ()
    unpaired: str | None = None
    own: OwnReading | None = None

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


def kind_notes(base: ModelSource, tuned: ModelSource) -> list[str]:
    """Sentences on a full model whose configuration says that it can hardly have been tuned from the base model, or is run otherwise.

    Empty if the two have neither architecture nor width in common, which `unrelated_fault` says. Raises ModelError if a configuration cannot
    be read.
    """
    ours, theirs = _stated(base), _stated(tuned)
    if ours is None or theirs is None:
        return []
    notes: list[str] = []
    if ours.model_type != theirs.model_type:
        notes.append(
            f"It is a model of type {theirs.model_type!r}, the base model of type {ours.model_type!r}: it was hardly tuned from it."
        )
    widths = width_of(ours), width_of(theirs)
    if None not in widths and widths[0] != widths[1]:
        notes.append(f"It is {widths[1]} features wide, the base model {widths[0]}: it was hardly tuned from it.")
    if len(notes) == 2:
        return []
    return notes or setting_notes(ours, theirs)


def unrelated_fault(base: ModelSource, tuned: ModelSource) -> str | None:
    """Says in words that a full model has neither architecture nor width in common with the base model; None if it has one of them.

    Raises ModelError if a configuration cannot be read.
    """
    if tuned.is_adapter:
        return None
    ours, theirs = _stated(base), _stated(tuned)
    if ours is None or theirs is None or ours.model_type == theirs.model_type:
        return None
    widths = width_of(ours), width_of(theirs)
    if None in widths or widths[0] == widths[1]:
        return None
    return (
        f"it is a model of type {theirs.model_type!r}, {widths[1]} features wide, and the base model one of type {ours.model_type!r}, "
        f"{widths[0]} wide: it was not tuned from it, and layers of one number are not the same layer."
    )


def layer_count_fault(tuned_depth: int, base_depth: int) -> str:
    """Says in words why the layers of models of different depths are not paired."""
    return f"it has {tuned_depth} layers, the base model {base_depth}: layer i of one has no counterpart in the other."


def unique_names(refs: list[str]) -> list[str]:
    """Shortens paths or ids to their last parts, as many as tell them apart.

    For example run_a/final_model and run_b/final_model keep both parts. One that is given twice gets numbers.
    """
    if len(distinct := list(dict.fromkeys(refs))) < len(refs):
        short = dict(zip(distinct, unique_names(distinct), strict=True))
        return [
            f"{short[ref]} ({refs[: k + 1].count(ref)})" if refs.count(ref) > 1 else short[ref]
            for k, ref in enumerate(refs)
        ]
    parts = [ref.rstrip("/").replace("\\", "/").split("/") for ref in refs]
    for length in range(1, max(len(p) for p in parts) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{ref} ({number})" for number, ref in enumerate(refs, start=1)]


def _depth(source: ModelSource) -> int | None:
    if source.gguf_file:
        header = read_gguf_header(source.path / source.gguf_file)
        depth = header.metadata.get(f"{header.architecture}.block_count")
        return int(depth) if depth is not None else None
    path = source.path / "config.json"
    return depth_of(read_json_object(path)) if path.is_file() else None


def _stated(source: ModelSource) -> Any:
    """The configuration; None for a GGUF file, whose own takes seconds to read."""
    return None if source.gguf_file else load_config(source)
