"""One forward pass on random tokens, by which the sites of a model are found and their laws are checked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.backbone import uncompiled
from repdrift.models.block_search import family_of
from repdrift.models.blocks import Blocks
from repdrift.models.positions import embedding_rows
from repdrift.models.sites.adapter_branch import with_adapter
from repdrift.models.sites.block_record import BlockRecord, BlockRecorder, as_stream, kept
from repdrift.models.sites.part_names import is_norm
from repdrift.models.sites.search import sites_of_block
from repdrift.models.sites.taps import BlockSites, ModelSites, Tap

PROBE_SAMPLES, PROBE_TOKENS = 2, 7
"""Few, since every module's output is held for one block; unlike, since a (tokens, batch) order must not look like the other."""
_SEED = 0


def probe_inputs(model: nn.Module, device: torch.device) -> dict[str, Tensor]:
    """Random tokens that `model` can read, without padding: `input_ids` and `attention_mask`, (2, 7) each.

    Raises ModelError if the number of its tokens is not known.
    """
    rows = embedding_rows(model)
    if rows is None:
        rows = getattr(getattr(model, "config", None), "vocab_size", None)
    if not isinstance(rows, int) or rows < 1:
        raise ModelError(f"{type(model).__name__} does not say how many tokens it knows, so its sites cannot be probed")
    generator = torch.Generator().manual_seed(_SEED)
    ids = torch.randint(0, rows, (PROBE_SAMPLES, PROBE_TOKENS), generator=generator)
    padding = getattr(getattr(model, "config", None), "pad_token_id", None)
    if isinstance(padding, int) and rows > 1:
        ids = torch.where(ids == padding, (ids + 1) % rows, ids)
    return {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)}


@contextmanager
def probing(blocks: Blocks) -> Generator[Callable[[], ModelSites]]:
    """Inside the `with` block, one forward pass of `blocks.root` is watched; the function then gives the sites.

    All hooks are removed on leaving. Raises ModelError, from within the pass, if a block is given no hidden state.
    """
    finder = SiteFinder(blocks)
    handles: list[Any] = []

    def after_outlet(_: nn.Module, __: Any, output: Any) -> None:
        finder.stream_is(blocks.hidden_state(output))

    try:
        for block in dict.fromkeys(blocks.modules):
            handles.append(block.register_forward_pre_hook(finder.begin, with_kwargs=True))
            handles.append(block.register_forward_hook(lambda _, __, output: finder.end(blocks.hidden_state(output))))
        for outlet in dict.fromkeys(blocks.outlets):
            handles.append(outlet.register_forward_hook(after_outlet))  # noqa: PERF401
        handles += finder.watch_norms()
        yield finder.found
    finally:
        finder.stop()
        for handle in handles:
            handle.remove()


class SiteFinder:
    """Finds the sites of the blocks that run one after the other: each is recorded, searched, and forgotten.

    The caller tells of each block `begin`, `end` and then `stream_is`.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._modules = list(blocks.root.modules())
        self._recorder: BlockRecorder | None = None
        self._sites: list[BlockSites] = []
        self._stream: Tensor | None = None
        self._starts_with_stream = False
        self._final_norm: tuple[Tap, ...] = ()

    def begin(self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A block is about to run, with these arguments. Raises ModelError if none of them is a hidden state."""
        self.stop()
        layer = len(self._sites)
        before = next((s for v in (*args, *kwargs.values()) if (s := self._as_any_stream(v)) is not None), None)
        if before is None:
            raise ModelError(
                f"block {layer} ({type(block).__name__}) is given no hidden state of shape (batch, tokens, features), so its sites "
                "cannot be told"
            )
        self._recorder = BlockRecorder(block, layer, kept(before))
        self._recorder.watch(self._blocks.hidden_state)

    def end(self, after: Any) -> None:
        """The block that began has given this hidden state."""
        if self._recorder is None:
            return
        record = self._recorder.record
        self.stop()
        record.after = kept(after) if isinstance(after, Tensor) else None
        if not record.layer:
            self._starts_with_stream = record.after is not None and record.after.shape == record.before.shape
        self._sites.append(self._searched(record))

    def stream_is(self, hidden: Any) -> None:
        """The residual stream after the block that ended, which the next block is to be given."""
        self._stream = kept(hidden) if isinstance(hidden, Tensor) else None

    def stop(self) -> None:
        """Remove the hooks inside the block that runs."""
        if self._recorder is not None:
            self._recorder.done()
            self._recorder = None

    def watch_norms(self) -> list[Any]:
        """Hooks on the norms outside the blocks, for the one that is given what the last block gives; the caller removes them."""
        inside = {module for block in self._blocks.modules for module in block.modules()}
        norms = {m: name for name, m in self._blocks.root.named_modules() if m not in inside and is_norm(m)}
        return [norm.register_forward_hook(self._norm_hook(name)) for norm, name in norms.items()]

    def found(self, *, until: int | None = None) -> ModelSites:
        """The sites of the blocks before block `until`, or of all. Raises ModelError if some were not run, or the model changed its own modules."""
        root, wanted = self._blocks.root, len(self._blocks) if until is None else until
        now = list(root.modules())
        if len(now) != len(self._modules) or any(a is not b for a, b in zip(now, self._modules, strict=True)):
            raise ModelError(
                f"{type(root).__name__} exchanges modules of its own for short inputs, and stays so: a few random tokens do not tell where its "
                "sites are, and would change what it makes of long texts. Read the residual stream alone, from a model that is loaded anew."
            )
        if len(self._sites) != wanted:
            raise ModelError(
                f"{len(self._sites)} of {wanted} blocks of {type(root).__name__} were run in its forward pass, so its sites "
                "cannot be told"
            )
        embeddings = (Tap(self._blocks.modules[0], "", reads="input"),) if self._starts_with_stream else ()
        return ModelSites(type(uncompiled(root)).__name__, tuple(self._sites), embeddings, self._final_norm)

    def _searched(self, record: BlockRecord) -> BlockSites:
        stream = self._stream
        if stream is not None and not (stream.shape == record.before.shape and torch.equal(stream, record.before)):
            why = (
                f"block {record.layer} is not given what block {record.layer - 1} gives: something stands between them"
            )
            return with_adapter(record, BlockSites(hidden={"attn_out": why, "mlp_out": why}))
        family = family_of(uncompiled(self._blocks.root))
        search = sites_of_block if family is None or family.sites is None else family.sites
        return with_adapter(record, search(record))

    def _norm_hook(self, name: str) -> Callable[..., None]:
        def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            stream = self._stream
            if len(self._sites) < len(self._blocks) or self._final_norm or stream is None or not args:
                return
            given = as_stream(args[0], stream.shape, self._blocks.hidden_state)
            gave = as_stream(output, stream.shape, self._blocks.hidden_state)
            if given is not None and gave is not None and torch.equal(given.cpu(), stream):
                self._final_norm = (Tap(module, name),)

        return after

    def _as_any_stream(self, value: Any) -> Tensor | None:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dim() != 3:
            return None
        stream = self._blocks.hidden_state((value,))
        return stream if isinstance(stream, Tensor) and stream.dim() == 3 else None
