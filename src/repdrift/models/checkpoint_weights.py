"""The weights of a model made from the tensors of a checkpoint, any few of them at a time.

transformers renames, splits and fuses the tensors of many architectures on loading: Mixtral's experts are one tensor in the
model and many in its files. Its own tables and operations are used here, for the tensors of one block at a time.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from repdrift.core.errors import ModelError
from repdrift.models.checkpoint import USE_SAMPLE_MAJOR, StoredTensor
from repdrift.models.loading import MissingWeightsError
from repdrift.models.unplaced_tensors import require_placed

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class _Recipe:
    """One or several weights of the model, and the tensors that they are made from.

    tensors: each with the pattern of the converter that its name matched. converter: None if the tensor is the weight.
    """

    target: str
    tensors: list[tuple[StoredTensor, str | None]] = field(default_factory=list)
    converter: Any = None

    @property
    def targets(self) -> list[str]:
        if self.converter is None:
            return [self.target]
        first, *others = self.converter.target_patterns
        return [self.target, *(self.target.replace(first, other) for other in others)]


class CheckpointWeights:
    """The weights that a checkpoint holds for `model`, under the model's names.

    model: may be on the meta device. tensors: those of the checkpoint. needed: names of weights by which the prefix of a
    task head is recognised. where: names the checkpoint in messages.
    Raises ModelError if the installed transformers cannot convert single tensors.
    """

    def __init__(
        self, model: PreTrainedModel, tensors: Mapping[str, StoredTensor], *, needed: Sequence[str], where: str
    ) -> None:
        self._model = model
        self._where = where
        own = model.state_dict()
        self._shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
        self._dtypes = {name: tensor.dtype for name, tensor in own.items()}
        self._keep_float32(model)
        self._tied = _tied_names(model)
        self._recipes = _recipes(model, tensors, None)
        known = {tensor.name for recipe in self._recipes.values() for tensor, _ in recipe.tensors}
        require_placed(model, tensors.keys() - known, where)
        absent = [name for name in needed if self._provider(name) is None]
        if absent and (prefix := _other_prefix(absent, tensors)):
            # Some task heads name the backbone in their own way: Llama's question answering says "transformer".
            self._recipes = _recipes(model, tensors, {rf"^{re.escape(prefix)}": ""})

    def has(self, name: str) -> bool:
        """True if the checkpoint holds the weight `name`."""
        return self._provider(name) is not None

    def require(self, names: Iterable[str]) -> None:
        """Raises MissingWeightsError that names the weights of `names` that are absent or have another shape."""
        wrong: list[str] = []
        for name in names:
            recipe = self._provider(name)
            if recipe is None:
                wrong.append(name)
            elif recipe.converter is None and recipe.tensors[0][0].shape != self._shapes[name]:
                wrong.append(f"{name} ({recipe.tensors[0][0].shape}, expected {self._shapes[name]})")
        if wrong:
            raise self._missing(wrong)

    def load(self, names: Sequence[str], *, device: torch.device) -> dict[str, Tensor]:
        """Returns the weights `names` on `device`, in the model's dtype (float32 where the architecture insists on it).

        Raises MissingWeightsError if a weight is absent or has another shape; ModelError if a tensor cannot be converted.
        """
        self.require(names)
        found: dict[str, Tensor] = {}
        for name in names:
            recipe = self._provider(name)
            if name in found or recipe is None:
                continue
            made = self._make(recipe)
            for other in (name, *self._tied.get(name, ())):
                if other in made:
                    made.setdefault(name, made[other])
            found.update({key: tensor.to(device) for key, tensor in made.items() if key in names})
        wrong = [
            f"{name} ({tuple(found[name].shape) if name in found else 'absent'}, expected {self._shapes[name]})"
            for name in names
            if name not in found or tuple(found[name].shape) != self._shapes[name]
        ]
        if wrong:
            raise self._missing(wrong)
        return found

    def _keep_float32(self, model: PreTrainedModel) -> None:
        plan = getattr(model, "_get_dtype_plan", lambda _dtype: {})(model.dtype)
        for pattern, dtype in plan.items():
            for name in self._dtypes:
                if re.search(pattern.replace("*", ".*"), name):
                    self._dtypes[name] = dtype

    def _provider(self, name: str) -> _Recipe | None:
        for candidate in (name, *self._tied.get(name, ())):
            if candidate in self._recipes:
                return self._recipes[candidate]
        return None

    def _make(self, recipe: _Recipe) -> dict[str, Tensor]:
        dtype = self._dtypes[recipe.target]
        if recipe.converter is None:
            return {recipe.target: recipe.tensors[0][0].read(dtype)}
        converter = copy.deepcopy(recipe.converter)
        try:
            for tensor, pattern in recipe.tensors:
                # Read when the conversion asks for it: then only the tensors it needs are in memory beside the result.
                converter.add_tensor(recipe.target, tensor.name, pattern, partial(tensor.read, dtype))
            made = converter.convert(recipe.target, model=self._model, config=self._model.config)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"{self._where}: {recipe.target} is made of {len(recipe.tensors)} tensors ({recipe.tensors[0][0].name}, ...), which "
                f"could not be converted one block at a time: {error}. {USE_SAMPLE_MAJOR}."
            ) from error
        return {name: t[0] if isinstance(t, list) else t for name, t in made.items()}

    def _missing(self, wrong: list[str]) -> MissingWeightsError:
        return MissingWeightsError(
            f"{self._where} lacks {len(wrong)} weights of {type(self._model).__name__} (or has them in another shape): "
            f"{', '.join(wrong[:4])}. Get the complete checkpoint."
        )


def _recipes(
    model: PreTrainedModel, tensors: Mapping[str, StoredTensor], key_mapping: dict[str, str] | None
) -> dict[str, _Recipe]:
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightConverter, WeightRenaming, dot_natural_key, rename_source_key

        transforms = get_model_conversion_mapping(model, key_mapping)
        renamings = [t for t in transforms if isinstance(t, WeightRenaming)]
        converters = [t for t in transforms if isinstance(t, WeightConverter)]
        by_pattern = {pattern: c for c in converters for pattern in c.source_patterns}
        own, prefix = model.state_dict(), model.base_model_prefix
        first: dict[str, _Recipe] = {}
        for key in sorted(tensors, key=dot_natural_key):  # their order decides in which order experts are stacked
            target, pattern = rename_source_key(key, renamings, converters, prefix, own)
            if target not in own and key in own:
                target, pattern = key, None
            if target not in own:
                continue
            recipe = first.setdefault(target, _Recipe(target, converter=by_pattern[pattern] if pattern else None))
            recipe.tensors.append((tensors[key], pattern))
    except (ImportError, TypeError, AttributeError) as error:
        raise ModelError(
            f"this version of transformers converts checkpoints in another way than expected ({error}). {USE_SAMPLE_MAJOR}."
        ) from error
    return {target: recipe for recipe in first.values() for target in recipe.targets}


def _other_prefix(absent: Sequence[str], tensors: Mapping[str, StoredTensor]) -> str | None:
    prefixes = {key.removesuffix(absent[0]) for key in tensors if key.endswith(f".{absent[0]}")}
    if len(prefixes) != 1:
        return None
    return prefixes.pop()


def _tied_names(model: PreTrainedModel) -> dict[str, list[str]]:
    """Other names of each parameter that has several; a checkpoint holds it under one of them."""
    tied: dict[str, list[str]] = {}
    pairs: Mapping[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    for target, source in pairs.items():
        tied.setdefault(target, []).append(source)
        tied.setdefault(source, []).append(target)
    for target, source in pairs.items():  # two targets of one source are tied as well
        tied[target].extend(other for other in tied[source] if other != target)
    return tied
