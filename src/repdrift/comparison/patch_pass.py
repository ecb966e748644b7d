"""Two models run over the same samples, each with the other's hidden state after one block at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdrift.batches.batching import Batch, BatchPlan
from repdrift.comparison.headed_model import HeadedModel
from repdrift.core.errors import ModelError, NonFiniteError
from repdrift.core.process_group import world
from repdrift.core.progress import Bar, say
from repdrift.core.words import counted
from repdrift.extraction.patched_run import RecordedRun
from repdrift.outcomes.token_outcome import TokenChunk, token_outcome

Items = NDArray[np.float64]

_CHUNK_BYTES = 32 << 20
"""For one (tokens, vocabulary) table of float32; about eight of them are in memory at a time."""
_NOISE_PARTS = 3


@dataclass(frozen=True)
class PatchInputs:
    """The samples in batches, and the rows of each that outputs are compared at.

    places: for each sample, the positions whose hidden state the head reads; None: the model gives one row a sample.
    """

    plan: BatchPlan
    places: tuple[np.ndarray, ...] | None

    def rows(self, output: Tensor, samples: Sequence[int]) -> Tensor:
        """The rows that are read of the output of a batch: (b, t, d) to (m, d), sample by sample; (b, k) as it is."""
        if self.places is None:
            return output
        batch = np.repeat(np.arange(len(samples)), self.counts(samples))
        at = np.concatenate([self.places[sample] for sample in samples])
        return output[torch.from_numpy(batch).to(output.device), torch.from_numpy(at).to(output.device)]

    def counts(self, samples: Sequence[int]) -> NDArray[np.int64]:
        """The number of rows of each of these samples."""
        if self.places is None:
            return np.ones(len(samples), dtype=np.int64)
        return np.array([len(self.places[sample]) for sample in samples], dtype=np.int64)


@dataclass
class PatchDistances:
    """Divergences in nats, summed over the rows of each sample: (n,) each.

    weights: rows of each sample. change: KL(reference || tuned). change_back: KL(tuned || reference). noise: KL of the reference from itself in
    other batches. undone: by layer, KL(reference || tuned with the reference's state). brought: KL(tuned || reference with the tuned state).
    """

    weights: Items
    change: Items
    change_back: Items
    noise: Items
    undone: dict[int, Items] = field(default_factory=dict)
    brought: dict[int, Items] = field(default_factory=dict)

    @classmethod
    def zero(cls, n: int, layers: Sequence[int]) -> PatchDistances:
        """Sums of nothing, for n samples."""
        by_layer = [{layer: np.zeros(n) for layer in layers} for _ in range(2)]
        return cls(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), *by_layer)

    def of(self, kept: NDArray[np.bool_]) -> PatchDistances:
        """The sums of some of the samples. kept: (n,)."""
        return PatchDistances(
            self.weights[kept],
            self.change[kept],
            self.change_back[kept],
            self.noise[kept],
            {layer: values[kept] for layer, values in self.undone.items()},
            {layer: values[kept] for layer, values in self.brought.items()},
        )

    def add(self, other: PatchDistances) -> None:
        """Adds the sums of other samples, such as those of another process."""
        for name in ("weights", "change", "change_back", "noise"):
            getattr(self, name)[:] += getattr(other, name)
        for mine, theirs in ((self.undone, other.undone), (self.brought, other.brought)):
            for layer, values in theirs.items():
                mine[layer] += values


def patched_passes(layers: Sequence[int], depth: int) -> float:
    """The number of forward passes that a sample takes: both models, one of them again, and from each layer up, both ways."""
    return 3 + 2 * sum((depth - 1 - layer) / depth for layer in layers)


def patch_pass(
    reference: HeadedModel, tuned: HeadedModel, inputs: PatchInputs, layers: Sequence[int], *, what: str
) -> PatchDistances | None:
    """Runs all batches; returns the divergences of every sample. Under `torchrun`, None in all processes but the first.

    layers: after which a state is put in. what: names the tuned model.
    Raises ModelError, on the first batch, if a model cannot be run on from one of the layers: with its own state put in there it must give
    its own output. Raises NonFiniteError naming the sample if an output is not finite.
    """
    processes, plan = world(), inputs.plan
    found = PatchDistances.zero(len(plan.samples), layers)
    mine = list(processes.share(len(plan)))
    with processes.together(f"patching {what}"), torch.inference_mode(), Bar(f"patching {what}", len(mine)) as bar:
        total = sum(_tokens(plan, number) for number in mine)
        for position, number in enumerate(mine):
            batch = plan[number]
            if position == 0:
                for model in (reference, tuned):
                    _require_patchable(model, inputs, batch, layers)
            begun = time.perf_counter()
            _patch_batch(reference, tuned, inputs, batch, layers, found)
            if position == 0 and len(mine) > 1:
                seconds = (time.perf_counter() - begun) * (total / _tokens(plan, number) - 1)
                say(f"patching {what}: about {_duration(seconds)} more, from the time of the first batch")
            bar.advance()
    gathered = processes.gather(found)
    if gathered is None:
        return None
    for other in gathered[1:]:
        gathered[0].add(other)
    return gathered[0]


def rounding_pass(exact: HeadedModel, rounded: HeadedModel, inputs: PatchInputs, *, what: str) -> Items | None:
    """KL(exact || rounded) of one model in two number formats, summed over each sample's rows: (n,). None in all processes but the first."""
    processes, plan = world(), inputs.plan
    found = np.zeros(len(plan.samples))
    with processes.together(what), torch.inference_mode(), Bar(what, len(mine := processes.share(len(plan)))) as bar:
        for number in mine:
            batch = plan[number]
            rows = [
                inputs.rows(model.runner.record(model.inputs(batch.inputs), ()).output, batch.sample_indices)
                for model in (exact, rounded)
            ]
            items = np.repeat(np.array(batch.sample_indices), inputs.counts(batch.sample_indices))
            for chunk in _chunks(exact, rows[0]):
                p, q = exact.log_probabilities(rows[0][chunk]), rounded.log_probabilities(rows[1][chunk])
                np.add.at(found, items[chunk], divergence(p, q).double().cpu().numpy())
            bar.advance()
    gathered = processes.gather(found)
    return None if gathered is None else np.sum(gathered, axis=0)


def cost_sentence(layers: Sequence[int], depth: int, samples: int, tokens: int, what: str) -> str:
    """Says in words what patching one model costs, before it runs."""
    return (
        f"patching {what}: {counted(len(layers), 'layer')} in both directions, {patched_passes(layers, depth):.0f} forward passes for each of "
        f"{counted(samples, 'sample')} ({counted(tokens, 'token')})"
    )


def _tokens(plan: BatchPlan, number: int) -> int:
    lengths = plan.samples.lengths
    chosen = plan.sample_indices[number]
    return len(chosen) * max(lengths[index] for index in chosen)


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _require_patchable(model: HeadedModel, inputs: PatchInputs, batch: Batch, layers: Sequence[int]) -> None:
    """Raises ModelError unless the model gives its own output again when its own state is put in after each of `layers`."""
    given, samples = model.inputs(batch.inputs), batch.sample_indices
    own = model.runner.record(given, layers)
    expected = inputs.rows(own.output, samples).float()
    limit = math.sqrt(torch.finfo(own.output.dtype).eps) * float(expected.abs().max())
    for layer in layers:
        with model.runner.above(layer) as run:
            again = inputs.rows(run(given, own.states[layer]), samples).float()
        if bool(torch.isnan(again).any()) and not bool(torch.isnan(expected).any()):
            raise model.runner.cannot_patch(
                layer,
                "the blocks above it also read what is below it past that state, so the state is not all that is passed on",
            )
        if float((again - expected).abs().max()) > limit:
            raise model.runner.cannot_patch(
                layer, "with its own state put in there, it gives another output than before"
            )


def _patch_batch(
    reference: HeadedModel,
    tuned: HeadedModel,
    inputs: PatchInputs,
    batch: Batch,
    layers: Sequence[int],
    found: PatchDistances,
) -> None:
    samples = batch.sample_indices
    ours, theirs = (model.runner.record(model.inputs(batch.inputs), layers) for model in (reference, tuned))
    undone = _patched(tuned, inputs, batch, ours, layers)
    brought = _patched(reference, inputs, batch, theirs, layers)
    again = _in_parts(reference, inputs, batch)
    final_ours, final_theirs = inputs.rows(ours.output, samples), inputs.rows(theirs.output, samples)
    counts = inputs.counts(samples)
    items = np.repeat(np.array(samples), counts)
    found.weights[samples] = counts
    for chunk in _chunks(reference, final_ours):
        p, q = reference.log_probabilities(final_ours[chunk]), tuned.log_probabilities(final_theirs[chunk])
        if p.shape != q.shape:
            raise ModelError(f"the heads name {p.shape[1]} and {q.shape[1]} outputs, which cannot be set side by side")

        def put(into: Items, values: Tensor, at: slice = chunk) -> None:
            numbers = values.double().cpu().numpy()
            if not np.isfinite(numbers).all():
                wrong = int(items[at][int(np.flatnonzero(~np.isfinite(numbers))[0])])
                raise NonFiniteError(
                    f"the outputs are not finite for {inputs.plan.samples.described(wrong)}, so no divergence can be taken. Look at the model's weights: was "
                    "training unstable?"
                )
            np.add.at(into, items[at], numbers)

        put(found.change, divergence(p, q))
        put(found.change_back, divergence(q, p))
        put(found.noise, divergence(p, reference.log_probabilities(again[chunk])))
        for layer in layers:
            put(found.undone[layer], divergence(p, tuned.log_probabilities(undone[layer][chunk])))
            put(found.brought[layer], divergence(q, reference.log_probabilities(brought[layer][chunk])))


def _chunks(model: HeadedModel, rows: Tensor) -> Iterator[slice]:
    """Parts of the rows whose log-probabilities fit into memory."""
    if not len(rows):
        return
    size = max(1, _CHUNK_BYTES // (4 * model.logits(rows[:1]).shape[1]))
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def _patched(
    model: HeadedModel, inputs: PatchInputs, batch: Batch, other: RecordedRun, layers: Sequence[int]
) -> dict[int, Tensor]:
    """By layer, the rows of `model` with the states of `other` put in."""
    given = model.inputs(batch.inputs)
    found: dict[int, Tensor] = {}
    for layer in layers:
        with model.runner.above(layer) as run:
            found[layer] = inputs.rows(run(given, other.states[layer]), batch.sample_indices)
    return found


def _in_parts(model: HeadedModel, inputs: PatchInputs, batch: Batch) -> Tensor:
    """The rows of `model` when the batch is run in smaller ones, so that only rounding differs."""
    tokens = batch.inputs["attention_mask"].numel()
    parts = batch.split(max(1, tokens // _NOISE_PARTS))
    outputs = [(model.runner.record(model.inputs(part.inputs), ()).output, part.sample_indices) for part in parts]
    return torch.cat([inputs.rows(output, samples) for output, samples in outputs])


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of each row, (m,), in nats, from natural logarithms of probabilities (m, v). Exactly 0 where they are equal."""
    no_targets = torch.empty(0, dtype=torch.long)
    return token_outcome("output_kl").reduce(TokenChunk(p, q, no_targets)).tuned
