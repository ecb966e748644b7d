"""Sites of a model that is run one block at a time: found by random tokens that travel through the blocks, one after the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.batches.batching import Batch
from repdrift.core.errors import ModelError
from repdrift.core.process_group import device
from repdrift.core.progress import Bar
from repdrift.core.records.sites import RESID_POST, Site, SiteLayer
from repdrift.extraction.options import ExtractionOptions
from repdrift.extraction.single_block import BlockState, SingleBlockRunner
from repdrift.extraction.site_hooks import SiteHooks
from repdrift.models import Blocks, ModelSource
from repdrift.models.lazy_model import LazyModel, load_lazy_model
from repdrift.models.site_probe import SiteFinder, probe_inputs
from repdrift.models.sites.taps import ChosenSites, ModelSites, Tap


def find_layer_sites(lazy_model: LazyModel, sites: Sequence[Site], layers: Sequence[int], *, what: str) -> ChosenSites:
    """Finds where `lazy_model` has `sites` in `layers`. Every block up to the deepest that is needed is loaded once for it, one at a time.

    what: a few words for the progress bar. Raises ModelError if a weight is missing, the model cannot be run block by block, or a site
    cannot be found.
    """
    return _searched(lazy_model, sites, layers, what).chosen(sites, layers)


def _searched(lazy_model: LazyModel, sites: Sequence[Site], layers: Sequence[int], what: str) -> ModelSites:
    blocks = lazy_model.blocks
    until = lazy_model.depth if "final_norm" in sites else max(layers) + 1
    lazy_model.require_blocks(range(until))
    lazy_model.load_outside_blocks()
    inputs: dict[str, Any] = dict(probe_inputs(lazy_model.runner, lazy_model.device))
    shape = inputs["input_ids"].shape
    if "use_cache" in inspect.signature(lazy_model.runner.forward).parameters:
        inputs["use_cache"] = False
    runner, finder = SingleBlockRunner(blocks), SiteFinder(blocks)
    state: BlockState | None = None
    with Bar(f"{what}, sites", until) as bar:
        for layer in range(until):
            is_last = layer == lazy_model.depth - 1
            with (
                torch.inference_mode(),
                lazy_model.block(layer) as block,
                runner.only(layer, to_end=is_last) as run_block,
            ):
                handles = _hooks(finder, runner, block, blocks.outlets[layer], blocks.hidden_state)
                handles += finder.watch_norms() if is_last else []
                try:
                    state = run_block(inputs, state)
                    hidden = runner.hidden_state(state, shape)
                    finder.end(hidden)  # unless its hook was reached
                    finder.stream_is(hidden)
                finally:
                    finder.stop()
                    for handle in handles:
                        handle.remove()
            bar.advance()
    return finder.found(until=until)


def sites_of_base(source: ModelSource, options: ExtractionOptions) -> ChosenSites | None:
    """The sites that `options` asks for, in the base model at `source`, found before anything is trained or extracted.

    Every block is read once from the files, one at a time, and none is kept. Returns None if no other site than the residual stream is
    asked for, or the model cannot be run block by block: its sites are then found when it is extracted. Raises ModelError if a site cannot
    be found.
    """
    if options.sites == (RESID_POST,):
        return None
    try:
        lazy_model = load_lazy_model(
            source, dtype=options.compute_dtype, blocks=options.blocks, stack=options.stack, device=device()
        )
        layers = lazy_model.blocks.select(None if options.layers is None else list(options.layers))
        found = _searched(lazy_model, options.sites, layers, "base model")
    except ModelError:
        return None
    return found.chosen(options.sites, layers)


class SitesToRead:
    """The sites that are read while a model is run one block at a time.

    taps: by site and layer. on_site: called with the place, the batch that runs (the caller sets `batch`) and the hidden state (b, t, d).
    """

    def __init__(
        self,
        taps: Mapping[SiteLayer, tuple[Tap, ...]] | None = None,
        on_site: Callable[[SiteLayer, Batch, Tensor], None] | None = None,
    ) -> None:
        self.taps = taps or {}
        self.batch: Batch | None = None
        self._on_site = on_site

    @contextmanager
    def in_block(self, blocks: Blocks, layer: int) -> Generator[None]:
        """Inside the `with` block, the sites of one block are read, and with the first and last those before and behind them."""
        last = len(blocks) - 1
        here = {place: taps for place, taps in self.taps.items() if min(max(place.layer, 0), last) == layer}
        handles: list[Any] = []
        try:
            for due in sorted({max(place.layer, 0) for place in here}):
                taps = {place: taps for place, taps in here.items() if max(place.layer, 0) == due}
                SiteHooks(blocks, taps, self._pass_on, lambda due=due: due, self._token_shapes).add_to(handles)
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _pass_on(self, place: SiteLayer, hidden: Tensor) -> None:
        if self._on_site is not None and self.batch is not None:
            self._on_site(place, self.batch, hidden)

    def _token_shapes(self) -> set[tuple[int, ...]]:
        return set() if self.batch is None else {tuple(self.batch.inputs["attention_mask"].shape)}


def _hooks(
    finder: SiteFinder,
    runner: SingleBlockRunner,
    block: nn.Module,
    outlet: nn.Module,
    hidden_state: Callable[[Any], Any],
) -> list[Any]:
    """Hooks that tell `finder` of the block that runs, and not of what stands in for it (a shared block is called before too)."""

    def after_block(_: nn.Module, __: Any, output: Any) -> None:
        if runner.has_run:
            finder.end(hidden_state(output))

    def after_outlet(_: nn.Module, __: Any, output: Any) -> None:
        if runner.has_run:
            finder.stream_is(hidden_state(output))

    return [
        block.register_forward_pre_hook(finder.begin, with_kwargs=True),
        block.register_forward_hook(after_block),
        outlet.register_forward_hook(after_outlet),
    ]
