"""The list of transformer blocks inside a model, found from its structure."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from repdrift.core.errors import ModelError, UnknownNameError

_DEPTH_FIELDS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers")


@dataclass(frozen=True)
class Blocks:
    """The blocks of a model in the order of the forward pass; `path` is the list's name inside the model."""

    path: str
    modules: tuple[nn.Module, ...]

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


def find_blocks(model: nn.Module, *, path: str | None = None) -> Blocks:
    """Find the list of blocks in `model`.

    The list is the outermost `ModuleList` as long as the configuration's depth; an encoder's before a decoder's.
    `path` names one explicitly, for example "encoder.layer".
    Raises ModelError that lists the module lists found, if none or an unknown one is meant.
    """
    lists = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList) and len(module)
    }
    if path is not None:
        if path not in lists:
            raise ModelError(f"no module list named {path!r} in {type(model).__name__}. {_describe(lists)}")
        return Blocks(path, tuple(lists[path]))
    depths = _depths(model)
    fitting = [name for name, module in lists.items() if len(module) in depths and _same_kind(module)]
    if not fitting:
        raise ModelError(
            f"no list of blocks found in {type(model).__name__} (configured depth: {sorted(depths) or 'unknown'}). "
            f"{_describe(lists)} Name the right one with blocks='...' (--blocks on the command line)."
        )
    # Outermost first; of two equally deep ones the encoder's; then the one that holds most of the weights.
    best = min(fitting, key=lambda n: (n.count("."), "decoder" in n, -_size(lists[n])))
    return Blocks(best, tuple(lists[best]))


def _depths(model: nn.Module) -> set[int]:
    config = getattr(model, "config", None)
    if config is None:
        return set()
    if hasattr(config, "get_text_config"):
        config = config.get_text_config()
    return {int(getattr(config, field)) for field in _DEPTH_FIELDS if isinstance(getattr(config, field, None), int)}


def _same_kind(modules: nn.ModuleList) -> bool:
    return len({type(module) for module in modules}) == 1


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _describe(lists: dict[str, nn.ModuleList]) -> str:
    if not lists:
        return "It holds no module lists at all."
    found = ", ".join(f"{name} ({len(module)} x {type(module[0]).__name__})" for name, module in lists.items())
    return f"Module lists found: {found}."
