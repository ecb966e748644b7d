"""Every changed matrix of one tuned model against its base model, read one at a time, whole or as the factors of an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.models.adapter_files import adapter_config, has_lora_matrices
from repdrift.models.model_files import ModelSource
from repdrift.weights.adapted_heads import AdaptedHeads
from repdrift.weights.adapted_weights import changes_no_weight
from repdrift.weights.base_matrices import BaseMatrices
from repdrift.weights.changed_by_adapter import loaded_adapter_matrices, streamed_adapter_matrices
from repdrift.weights.changed_matrix import ChangedMatrix, MatrixReader
from repdrift.weights.named_tensors import NamedTensors, named_tensors
from repdrift.weights.weight_comparison import difference
from repdrift.weights.weight_names import WeightName, in_order, match_names
from repdrift.weights.weight_pairs import WeightPair, weight_pairs

__all__ = ["ChangedMatrices", "ChangedMatrix", "MatrixReader", "changed_matrices"]


@dataclass(frozen=True)
class ChangedMatrices:
    """The weights of one tuned model that can be compared with the base model's, by name; a weight may have a change of 0.

    readers: reads one of them; nothing is kept. not_compared: a line for each weight that is left out, with the reason. notes:
    a line for each weight that is compared in part. precisions: says which types the two models' files have where they differ. in_memory: True if the whole tuned model is held, since its kind of adapter
    can only be compared after loading; it is freed with this object. unread: weights that it changed by an amount that is not known.
    """

    readers: Mapping[WeightName, MatrixReader]
    not_compared: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    precisions: list[str] = field(default_factory=list)
    in_memory: bool = False
    unread: frozenset[WeightName] = frozenset()

    @property
    def names(self) -> list[WeightName]:
        """The weights in order: blocks by number, then what lies outside the blocks."""
        return in_order(self.readers)

    def read(self, name: WeightName) -> ChangedMatrix | None:
        """Reads the change of one weight; None if the model cannot have changed it, as an adapter that is not on it."""
        reader = self.readers.get(name)
        return None if reader is None else reader()

    def __iter__(self) -> Iterator[ChangedMatrix]:
        """Yields the changes in order; one is in memory at a time unless the caller keeps them."""
        for name in self.names:
            yield self.readers[name]()


def changed_matrices(base: BaseMatrices, tuned: ModelSource) -> ChangedMatrices:
    """Opens the changes of a tuned model, a full one or an adapter; of safetensors files headers are read, and embeddings once.

    A plain LoRA gives its factors, and neither the base model nor a product B A is in memory. An adapter of another kind (DoRA,
    LoHa, trained biases) is put on the base model, which is loaded whole, and gives what merging would add.
    Raises ModelError if the files cannot be read, the two do not belong together, or the model changes no weight (a learned
    prompt).
    """
    if not tuned.is_adapter:
        return _of_full_model(base, tuned)
    config = adapter_config(tuned)
    if config.is_prompt_learning:
        raise ModelError(changes_no_weight(int(getattr(config, "num_virtual_tokens", 0) or 0)))
    heads = AdaptedHeads(base, tuned)
    found = streamed_adapter_matrices(base, tuned) if has_lora_matrices(tuned) else None
    in_memory = found is None
    if found is None:
        found = loaded_adapter_matrices(base, tuned)
    return ChangedMatrices(
        {**found.readers, **heads.readers},
        list(dict.fromkeys([*found.not_compared, *heads.not_compared])),
        [*found.notes, *heads.notes],
        in_memory=in_memory,
        unread=frozenset(heads.unread),
    )


def _of_full_model(base: BaseMatrices, tuned: ModelSource) -> ChangedMatrices:
    after = named_tensors(tuned)
    _require_one_depth(base, after)
    found = weight_pairs(base.tensors, after, base.blocks_path, heads=True)
    readers: dict[WeightName, MatrixReader] = {}
    for pair in found.pairs:
        layout = base.layout(pair.weight, pair.base.shape)
        if layout.kind != "stack":
            readers[pair.weight] = _pair_reader(base, pair, None)
            continue
        for number in range(pair.shape[0]):
            readers[WeightName(pair.weight.layer, f"{pair.weight.name}[{number}]")] = _pair_reader(base, pair, number)
    if not any(pair.weight.layer is not None and len(pair.shape) > 1 for pair in found.pairs):
        raise ModelError(
            f"no matrix of the blocks {base.blocks_path!r} could be compared with {base.tensors.where}: {'; '.join(found.not_compared[:3])}"
        )
    notes = [pair.rows.note(pair.name) for pair in found.pairs if pair.rows is not None]
    precisions = list(dict.fromkeys(note for pair in found.pairs if (note := pair.precision_note) is not None))
    return ChangedMatrices(readers, found.not_compared, notes, precisions)


def _require_one_depth(base: BaseMatrices, tuned: NamedTensors) -> None:
    names = match_names(base.tensors, tuned, base.blocks_path)
    one, other = (len({weight.layer for weight in of.backbone} - {None}) for of in (names.base, names.tuned))
    if one != other:
        raise ModelError(
            f"it has {other} blocks of weights, the base model {one}: layer i of one has no counterpart in the other, so the weights are not "
            "compared. Compare it with the model that it was tuned from."
        )


def _pair_reader(base: BaseMatrices, pair: WeightPair, number: int | None) -> Callable[[], ChangedMatrix]:
    layout = base.layout(pair.weight, pair.base.shape)
    name = pair.weight if number is None else WeightName(pair.weight.layer, f"{pair.weight.name}[{number}]")

    def read_base() -> Tensor:
        return layout.matrix(pair.read_base(), number)

    def read() -> ChangedMatrix:
        before, after = read_base(), layout.matrix(pair.read_tuned(), number)
        return ChangedMatrix(
            name,
            tuple(before.shape),
            read_base,
            dense=difference(before, after),
            transposed=layout.transposed,
            note=pair.note,
        )

    return read
