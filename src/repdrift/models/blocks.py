"""The transformer blocks of a model: the record of them, and finding their list by the model's structure or by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError, UnknownNameError
from repdrift.core.records.representation_set import Stack
from repdrift.core.words import some_listed
from repdrift.models.backbone import encoder_decoder_of, require_only_stack_is, unwrapped
from repdrift.models.dimensions import possible_depths, text_config

_LISTED = 12  # lists that an error message names
_HOW_TO_NAME = "Name the right one with blocks='...' (--blocks on the command line)."


def first_tensor(output: Any) -> Any:
    """Returns the output of an ordinary block as its hidden state: the output itself, or its first entry."""
    if hasattr(output, "to_tuple"):  # a ModelOutput
        output = output.to_tuple()
    return output[0] if isinstance(output, (tuple, list)) else output


def is_linear(module: nn.Module) -> bool:
    """True for a linear layer, whichever way round it keeps its weight."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, (nn.Linear, Conv1D))


@dataclass(frozen=True)
class Blocks:
    """The blocks of a model in the order of the forward pass: layer i is the i-th block that runs.

    path: the list's name inside `root`. modules: one entry for each layer; a block that runs several times stands here
    several times. root: the module whose forward pass runs the blocks. outlets: the modules whose outputs are the
    residual stream after each block; if empty, the blocks themselves. hidden_state: turns an outlet's output into the
    hidden state (batch, tokens, features).
    """

    path: str
    modules: tuple[nn.Module, ...]
    root: nn.Module
    outlets: tuple[nn.Module, ...] = ()
    hidden_state: Callable[[Any], Any] = first_tensor

    def __post_init__(self) -> None:
        if not self.outlets:
            object.__setattr__(self, "outlets", self.modules)

    def __len__(self) -> int:
        return len(self.modules)

    def select(self, layers: list[int] | None, *, model_name: str = "model") -> list[int]:
        """Returns the layer numbers in `layers`, sorted; all layers if it is None.

        Raises UnknownNameError if a layer is not in the model or is named twice.
        """
        if layers is None:
            return list(range(len(self)))
        for layer in layers:
            if not 0 <= layer < len(self):
                raise UnknownNameError(f"layer {layer} not in {model_name} ({len(self)} layers, 0 to {len(self) - 1})")
        twice = sorted(layer for layer, count in Counter(layers).items() if count > 1)
        if twice:
            raise UnknownNameError(f"layers are named twice: {some_listed(list(map(str, twice)))}")
        return sorted(layers)


def listed_blocks(model: nn.Module, *, stack: Stack | None = None) -> Blocks:
    """Find the blocks by structure: the one `ModuleList` that is as long as the configured depth.

    Lists inside another such list do not count, nor do lists of modules without parts (a norm for each layer).
    stack: the half of an encoder-decoder model to search; None means the encoder.
    Raises ModelError that names the lists found, if none fits or several do.
    """
    part = _part_to_search(model, stack)
    config = _config_of(part.module, stack) or _config_of(model, stack)
    lists = {
        _join(part.name, name): module
        for name, module in part.module.named_modules()
        if isinstance(module, nn.ModuleList) and _is_composite(module)
    }
    depths = possible_depths(config, stack)
    for depth in depths:
        fitting = [name for name, module in lists.items() if len(module) == depth]
        fitting = [name for name in fitting if not any(name.startswith(f"{other}.") for other in fitting)]
        if len(fitting) > 1:  # a tower that reads pixels or sound has a configuration of its own
            fitting = [name for name in fitting if _owner_type(model, name) == _model_type(config)] or fitting
        if len(fitting) == 1:
            return Blocks(fitting[0], tuple(lists[fitting[0]]), root=model)
        if fitting:
            raise ModelError(
                f"{len(fitting)} module lists of {type(model).__name__} are as long as its depth ({depth}), and nothing says "
                f"which holds the blocks: {', '.join(_describe(lists[name], name) for name in fitting)}. {_HOW_TO_NAME}"
            )
    expected = " or ".join(map(str, dict.fromkeys(depths))) or "unknown"
    raise ModelError(
        f"no list of blocks found in {type(model).__name__} (configured depth: {expected}). {_inventory(model)} {_HOW_TO_NAME}"
    )


def named_blocks(model: nn.Module, path: str) -> Blocks:
    """Returns the blocks in the list named `path`, a `ModuleList` or `Sequential`.

    Raises ModelError that names the lists found, if `path` is none of them.
    """
    found = dict(model.named_modules()).get(path)
    if not isinstance(found, (nn.ModuleList, nn.Sequential)) or not len(found):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise ModelError(
            f"no module list named {path!r} in {type(model).__name__} (there is {what}). {_inventory(model)}"
        )
    return Blocks(path, tuple(found), root=model)


@dataclass(frozen=True)
class _Part:
    """A part of a model, and its name inside the model."""

    module: nn.Module
    name: str


def _part_to_search(model: nn.Module, stack: Stack | None) -> _Part:
    pair = encoder_decoder_of(model)
    if pair is None:
        require_only_stack_is(stack, unwrapped(model))
        return _Part(model, "")
    chosen = stack or "encoder"
    return _Part(pair.module.get_submodule(chosen), _join(pair.name, chosen))


def _config_of(module: nn.Module, stack: Stack | None) -> Any:
    return text_config(getattr(module, "config", None), stack)


def _model_type(config: Any) -> str | None:
    return getattr(config, "model_type", None)


def _owner_type(model: nn.Module, name: str) -> str | None:
    """Returns the model type in the configuration nearest above the module `name`."""
    while name:
        name = name.rpartition(".")[0]
        config = getattr(model.get_submodule(name), "config", None)
        if config is not None:
            return _model_type(config)
    return None


def _is_composite(modules: nn.ModuleList) -> bool:
    """True if every module has parts: blocks have, a norm or a projection for each layer has none."""
    return len(modules) > 0 and all(any(True for _ in module.children()) for module in modules)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}".strip(".")


def _inventory(model: nn.Module) -> str:
    """A sentence that names the lists in `model`; a list that stands in every block is named once."""
    found: dict[str, tuple[nn.ModuleList | nn.Sequential, int]] = {}
    for name, module in model.named_modules():
        if name and isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module):
            pattern = re.sub(r"\.\d+(?=\.|$)", ".*", name)
            found[pattern] = (found.get(pattern, (module, 0))[0], found.get(pattern, (module, 0))[1] + 1)
    if not found:
        return "It holds no module lists at all."
    named = [_describe(module, name, times) for name, (module, times) in list(found.items())[:_LISTED]]
    more = f", and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"Module lists found: {', '.join(named)}{more}."


def _describe(modules: nn.ModuleList | nn.Sequential, name: str, times: int = 1) -> str:
    kinds = " or ".join(dict.fromkeys(type(module).__name__ for module in modules))
    repeated = f", in {times} places" if times > 1 else ""
    return f"{name} ({len(modules)} x {kinds}{repeated})"
