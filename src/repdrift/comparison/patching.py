"""Patching of every tuned model of a comparison: loaded with heads, run, and put into shares with intervals.

Share of layer L = 1 - D(reference, patched) / D(reference, tuned), where D is the KL divergence of outputs, summed over tokens and samples, and
`patched` is the tuned model with the reference's hidden state after block L. In the other direction the two change places.
Source: interchange interventions, Geiger et al. 2021; between a model and its fine-tune, Prakash et al. 2024 (CMAP); KL as the distance,
Conmy et al. 2023 and Zhang and Nanda 2024, who find that it sees the whole output where the logit of one answer may not.
Departure: all real tokens at once, and a ratio of sums over samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repdrift.batches.batching import BatchPlan
from repdrift.batches.input_checks import require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget
from repdrift.comparison.control_samples import drawn_samples
from repdrift.comparison.headed_model import HeadedModel, load_headed
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.patch_pass import Items, PatchDistances, PatchInputs, cost_sentence, patch_pass
from repdrift.comparison.tuned_model import TunedModel, layer_count_fault
from repdrift.core.errors import ModelError, RepdriftError
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.records.patching import PatchedLayer, PatchedShare, Patching
from repdrift.core.words import percent, short_number
from repdrift.models import ModelSource, running_errors, width_of
from repdrift.outcomes.read_places import read_places
from repdrift.statistics.ratio_of_sums import RatioOfSums, ratio_of_sums
from repdrift.tasks import SampleSet

DEFAULT_PATCH_SAMPLES = 128
LEAST_OVER_NOISE = 400.0
"""The least change, in sizes of the noise, of which a share is taken. KL grows with the square of a small change, so noise may move the share by
2 / sqrt(400) = 10 points at most."""
_BASE = "base"
_ONE_SAMPLE_HOLDS_MUCH = 0.5
_ALL = 0.995


def patch_models(
    base: ModelSource, tuned_models: Sequence[TunedModel], samples: SampleSet, options: ComparisonOptions
) -> list[Patching]:
    """Patches every tuned model against the base model. One that cannot be patched is in the list with the reason."""
    chosen = drawn_samples(samples, options.patch_samples, default=DEFAULT_PATCH_SAMPLES).samples
    found: list[Patching] = []
    try:
        with running_errors(f"the base model {base.ref!r} cannot be run with its head"):
            reference = load_headed(base, base, options)
    except RepdriftError as error:
        return [Patching(model=t.name, reference=_BASE, status="not patched", reason=str(error)) for t in tuned_models]
    for tuned in tuned_models:
        try:
            with running_errors("it cannot be patched"):
                headed = load_headed(base, tuned.source, options)
                found.append(_patched(reference, headed, tuned.name, chosen, options))
        except RepdriftError as error:
            found.append(Patching(model=tuned.name, reference=_BASE, status="not patched", reason=str(error)))
    return found


def shares_of(distances: PatchDistances, *, model: str, reference: HeadedModel, samples: SampleSet) -> Patching:
    """The shares of one model, or the reason why there are none."""
    outputs = reference.outputs
    whole = float(distances.weights.sum())
    change, noise = float(distances.change.sum()) / whole, float(distances.noise.sum()) / whole
    common = {
        "model": model,
        "reference": _BASE,
        "outputs": outputs,
        "unit": "nats per sample" if outputs == "classes" else "nats per token",
        "depth": len(reference.blocks),
        "samples": len(samples),
        "tokens": sum(samples.lengths),
        "change": change,
        "change_back": float(distances.change_back.sum()) / whole,
        "noise": noise,
    }
    if change == 0:
        reason = "its outputs equal the reference's to the last bit, so there is no change to explain"
        return Patching(**common, status="not patched", reason=reason)
    if change < LEAST_OVER_NOISE * noise:
        reason = (
            f"its outputs differ from the reference's by {short_number(change)} nats, and those of the reference from its own in other batches "
            f"by {short_number(noise)}: a share is taken of a change of at least {LEAST_OVER_NOISE:.0f} times the noise"
        )
        return Patching(**common, status="not patched", reason=reason)
    layers: list[PatchedLayer] = []
    for layer in sorted(distances.undone):
        undone = ratio_of_sums(distances.undone[layer], distances.change)
        brought = ratio_of_sums(distances.brought[layer], distances.change_back)
        layers.append(
            PatchedLayer(
                layer=layer,
                undone=_share(undone, distances.undone[layer], whole),
                brought=_share(brought, distances.brought[layer], whole),
            )
        )
    held = ratio_of_sums(distances.change, distances.change).largest_share
    return Patching(
        **common,
        status="patched",
        layers=layers,
        largest_sample_share=held,
        notes=_notes(layers, held, len(samples), len(reference.blocks)),
    )


def _share(left: RatioOfSums, distances: Items, weight: float) -> PatchedShare:
    return PatchedShare(
        share=1 - left.ratio,
        low=None if left.interval is None else 1 - left.interval.high,
        high=None if left.interval is None else 1 - left.interval.low,
        distance=float(np.sum(distances)) / weight,
    )


def _notes(layers: Sequence[PatchedLayer], held: float, samples: int, depth: int) -> list[str]:
    notes: list[str] = []
    last = layers[-1]
    if last.layer == depth - 1 and last.undone.share < _ALL:
        notes.append(
            f"With the reference's state after the last layer, {percent(last.undone.share)} of the change is undone: the rest is made above it, by a final "
            "norm or a head that differs."
        )
    if held > _ONE_SAMPLE_HOLDS_MUCH:
        notes.append(
            f"One sample holds {percent(held)} of the change in outputs, so the shares are mostly about that sample."
        )
    if all(at.undone.low is None for at in layers):
        notes.append(f"There are no intervals of the shares: they need 10 samples or more, and there are {samples}.")
    return notes


def _patched(
    reference: HeadedModel, headed: HeadedModel, name: str, samples: SampleSet, options: ComparisonOptions
) -> Patching:
    depth = len(reference.blocks)
    if len(headed.blocks) != depth:
        raise ModelError(layer_count_fault(len(headed.blocks), depth))
    layers = reference.blocks.select(
        None if options.patch_layers is None else list(options.patch_layers),
        model_name=type(reference.body).__name__,
    )
    for model in (reference, headed):
        require_samples_fit(samples, model.body)
    say(cost_sentence(layers, depth, len(samples), sum(samples.lengths), name))
    places = read_places(samples, "causal", None)
    budget = options.token_budget or _token_budget(reference, len(layers), options)
    inputs = PatchInputs(BatchPlan(places.inputs, token_budget=budget), places.places)
    distances = world().from_first(patch_pass(reference, headed, inputs, layers, what=name))
    assert distances is not None  # noqa: S101  the first process has them, and sends them
    return shares_of(distances, model=name, reference=reference, samples=samples)


def _token_budget(model: HeadedModel, n_layers: int, options: ComparisonOptions) -> int:
    """Tokens of a batch: the states of both models, and what follows from them, are held for every layer."""
    config = getattr(model.body, "config", None)
    itemsize = next(model.body.parameters()).element_size()
    held = 4 * n_layers * (width_of(config) or 0) * itemsize
    return auto_token_budget(
        config, itemsize=itemsize, captured_bytes_per_token=held, cap_bytes=options.memory_cap_bytes
    )
