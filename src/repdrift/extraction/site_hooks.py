"""Hooks on the modules that give the sites inside the blocks of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.records.sites import EMBEDDINGS_LAYER, SiteLayer
from repdrift.models import Blocks
from repdrift.models.blocks import first_tensor
from repdrift.models.sites.taps import Tap

OnSite = Callable[[SiteLayer, Tensor], None]


class SiteHooks:
    """Reads `taps`, and calls `on_site(place, hidden)` with each hidden state (b, t, d), before the model can change it in place.

    layer_now: tells which block runs, and the number of blocks behind the last; so a module may serve several layers. token_shapes: tells
    the shapes (b, t) that the model was given, of which one is each hidden state's.
    """

    def __init__(
        self,
        blocks: Blocks,
        taps: Mapping[SiteLayer, tuple[Tap, ...]],
        on_site: OnSite,
        layer_now: Callable[[], int],
        token_shapes: Callable[[], set[tuple[int, ...]]],
    ) -> None:
        self._blocks = blocks
        self._taps = taps
        self._on_site = on_site
        self._layer_now = layer_now
        self._token_shapes = token_shapes
        self._sums: dict[SiteLayer, tuple[Tensor, int]] = {}

    def add_to(self, handles: list[Any]) -> None:
        """Set the hooks, one for each module and side, and put their handles into `handles` one by one."""
        inputs: dict[nn.Module, dict[int, list[tuple[SiteLayer, Tap]]]] = {}
        outputs: dict[nn.Module, dict[int, list[tuple[SiteLayer, Tap]]]] = {}
        for place, taps in self._taps.items():
            due = 0 if place.layer == EMBEDDINGS_LAYER else place.layer
            for tap in taps:
                side = inputs if tap.reads == "input" else outputs
                side.setdefault(tap.module, {}).setdefault(due, []).append((place, tap))

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            for place, tap in inputs[module].get(self._layer_now(), ()):
                self._take(place, tap, next(filter(_is_stream, (*args, *kwargs.values())), None))

        def after(module: nn.Module, _: Any, output: Any) -> None:
            for place, tap in outputs[module].get(self._layer_now(), ()):
                self._take(place, tap, first_tensor(output))

        for module in inputs:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))  # noqa: PERF401
        for module in outputs:
            handles.append(module.register_forward_hook(after))  # noqa: PERF401

    def _take(self, place: SiteLayer, tap: Tap, value: Any) -> None:
        hidden = self._as_hidden_state(place, tap, value)
        if tap.scale != 1.0:
            hidden = hidden * tap.scale
        taps = self._taps[place]
        if len(taps) == 1:
            self._on_site(place, hidden)
            return
        total, found = self._sums.pop(place, (None, 0))
        total = hidden.clone() if total is None else total + hidden.to(total.device)
        if found + 1 == len(taps):
            self._on_site(place, total)
        else:
            self._sums[place] = (total, found + 1)

    def _as_hidden_state(self, place: SiteLayer, tap: Tap, value: Any) -> Tensor:
        """The value as (b, t, d). Raises ModelError if it is no such thing."""
        shapes = self._token_shapes()
        hidden = value
        if isinstance(value, Tensor) and value.dim() == 2:  # mixtures of experts give (b x t, d)
            fitting = [shape for shape in shapes if shape[0] * shape[1] == value.shape[0]]
            hidden = value.reshape(*fitting[0], -1) if fitting else value
        elif isinstance(value, Tensor):
            hidden = self._blocks.hidden_state((value,))
        if not isinstance(hidden, Tensor) or hidden.dim() != 3 or (shapes and tuple(hidden.shape[:2]) not in shapes):
            found = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
            raise ModelError(
                f"{place.words}: {tap.name or 'the block'} gives {found}, expected (batch, tokens, features) for (batch, tokens) = "
                f"{' or '.join(map(str, sorted(shapes)))}. Leave the site out."
            )
        return hidden


def _is_stream(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() == 3
