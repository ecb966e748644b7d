"""The transformer blocks inside a model, found from its structure."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError, UnknownNameError
from repdrift.models.backbone import Stack, encoder_decoder_of, require_only_stack_is, uncompiled, unwrapped
from repdrift.models.families import family_of

# A configuration's names for the depth, the most telling one first.
_DEPTH_FIELDS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "num_encoder_layers")
_DECODER_DEPTH_FIELDS = ("num_decoder_layers", "decoder_layers")
_LISTED = 12  # lists that an error message names


def first_tensor(output: Any) -> Any:
    """The hidden state of an ordinary block: its output, or the first entry of it."""
    if hasattr(output, "to_tuple"):  # a ModelOutput
        output = output.to_tuple()
    return output[0] if isinstance(output, (tuple, list)) else output


@dataclass(frozen=True)
class Blocks:
    """The blocks of a model in the order of the forward pass; layer i is the i-th one run.

    path: the list's name inside `root`. modules: one entry a layer; a block that is run several times stands here
    several times. root: the module whose forward pass runs them. outlets: the modules whose outputs are the residual stream after
    each block, where they are not the blocks themselves. hidden_state: from an outlet's output to (b, t, d).
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
        """The layer numbers asked for (all if None), checked. Raises UnknownNameError for one that is not there."""
        if layers is None:
            return list(range(len(self)))
        for layer in layers:
            if not 0 <= layer < len(self):
                raise UnknownNameError(f"layer {layer} not in {model_name} ({len(self)} layers, 0 to {len(self) - 1})")
        if len(set(layers)) != len(layers):
            raise UnknownNameError(f"layers are named twice: {layers}")
        return sorted(layers)


def find_blocks(model: nn.Module, *, path: str | None = None, stack: Stack | None = None) -> Blocks:
    """Find the blocks of `model`, which is also the module that will be run.

    They are the one `ModuleList` that is as long as the configuration's depth and lies inside no other such list; a family
    with a file in `models/families` says it otherwise. In an encoder-decoder model, `stack` says which half (None: the encoder).
    path: names the list explicitly, for example "encoder.layer"; a `ModuleList` or `Sequential`.
    Raises ModelError that names the lists found, if none fits, several do, or `path` is none of them.
    """
    return replace(_found(uncompiled(model), path, stack), root=model)


def _found(model: nn.Module, path: str | None, stack: Stack | None) -> Blocks:
    family = family_of(model)
    if path is None:
        return listed_blocks(model, stack=stack) if family is None else family.find(model)
    named = _named_blocks(model, path)
    if family is None:
        return named
    with suppress(ModelError):  # what the family does not find, the user may
        known = family.find(model)
        if known.path == path:
            return known
    return replace(named, hidden_state=family.hidden_state or first_tensor)


def listed_blocks(model: nn.Module, *, stack: Stack | None = None) -> Blocks:
    """The blocks by structure alone; see `find_blocks`."""
    part, prefix = _stack_within(model, stack)
    config = _text_config(part) or _text_config(model)
    lists = {
        _join(prefix, name): module
        for name, module in part.named_modules()
        if isinstance(module, nn.ModuleList) and _is_composite(module)
    }
    depths = _depths(config, stack)
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


_HOW_TO_NAME = "Name the right one with blocks='...' (--blocks on the command line)."


def _named_blocks(model: nn.Module, path: str) -> Blocks:
    found = dict(model.named_modules()).get(path)
    if not isinstance(found, (nn.ModuleList, nn.Sequential)) or not len(found):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise ModelError(
            f"no module list named {path!r} in {type(model).__name__} (there is {what}). {_inventory(model)}"
        )
    return Blocks(path, tuple(found), root=model)


def _stack_within(model: nn.Module, stack: Stack | None) -> tuple[nn.Module, str]:
    """The part of `model` to search, and its name."""
    pair = encoder_decoder_of(model)
    if pair is None:
        require_only_stack_is(stack, unwrapped(model))
        return model, ""
    owner, name = pair
    chosen = stack or "encoder"
    return owner.get_submodule(chosen), _join(name, chosen)


def _text_config(module: nn.Module) -> Any:
    config = getattr(module, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config  # pyright: ignore


def _depths(config: Any, stack: Stack | None) -> list[int]:
    """The configured depths, the likeliest first."""
    fields = (_DECODER_DEPTH_FIELDS, _DEPTH_FIELDS) if stack == "decoder" else (_DEPTH_FIELDS, _DECODER_DEPTH_FIELDS)
    values = [getattr(config, field, None) for group in fields for field in group]
    return [value for value in values if isinstance(value, int)]


def _model_type(config: Any) -> str | None:
    return getattr(config, "model_type", None)


def _owner_type(model: nn.Module, name: str) -> str | None:
    """The model type in the configuration nearest above the module `name`."""
    while name:
        name = name.rpartition(".")[0]
        config = getattr(model.get_submodule(name), "config", None)
        if config is not None:
            return _model_type(config)
    return None


def _is_composite(modules: nn.ModuleList) -> bool:
    """Blocks have parts; a norm or a projection per layer has none."""
    return len(modules) > 0 and all(any(True for _ in module.children()) for module in modules)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}".strip(".")


def _inventory(model: nn.Module) -> str:
    """Every list in `model`, those that repeat in every block named once."""
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
    places = f", in {times} places" if times > 1 else ""
    return f"{name} ({len(modules)} x {kinds}{places})"
