"""Patching of every tuned model of a comparison: loaded with heads, run, and put into shares with intervals.

Share of layer L = 1 - D(reference, patched) / D(reference, tuned), where D is the KL divergence of outputs, summed over tokens and samples, and
`patched` is the tuned model with the reference's hidden state after block L. In the other direction the two change places.
Source: interchange interventions, Geiger et al. 2021; between a model and its fine-tune, Prakash et al. 2024 (CMAP); KL as the distance,
Conmy et al. 2023 and Zhang and Nanda 2024, who find that it sees the whole output where the logit of one answer may not.
Departure: all real tokens at once, and a ratio of sums over samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from repdrift.batches.batching import BatchPlan, longest_and_shortest, scales_by_batch
from repdrift.batches.input_checks import require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget
from repdrift.comparison.control_samples import drawn_samples
from repdrift.comparison.headed_model import (
    HeadedModel,
    headed_base,
    headed_classifier,
    headed_tuned,
    require_like_classes,
)
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.patch_pass import Items, PatchDistances, PatchInputs, cost_sentence, patch_pass, rounding_pass
from repdrift.comparison.tuned_model import TunedModel, layer_count_fault
from repdrift.core.errors import ModelError, OutcomeNotApplicable, RepdriftError
from repdrift.core.group_words import LEAST_GROUPS, is_grouped, too_few_groups
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.records.patching import PatchedLayer, PatchedShare, Patching
from repdrift.core.words import percent, short_number
from repdrift.models import ModelSource, load_tokenizer, running_errors, width_of
from repdrift.models.classifier import is_classifier
from repdrift.outcomes.read_places import read_places
from repdrift.statistics.ratio_of_sums import RatioOfSums, ratio_of_sums
from repdrift.tasks import SampleSet

DEFAULT_PATCH_SAMPLES = 128
LEAST_OVER_NOISE = 400.0
"""The least change, in sizes of the noise, of which a share is taken. KL grows with the square of a small change, so noise may move the share by
2 / sqrt(400) = 10 points at most."""
_BASE = "base"
_ONE_HOLDS_MUCH = 0.5
_ALL = 0.995


def patch_models(
    base: ModelSource, tuned_models: Sequence[TunedModel], samples: SampleSet, options: ComparisonOptions
) -> list[Patching]:
    """Patches every tuned model against the base model. One that cannot be patched is in the list with the reason.

    A base model that is a classifier is set beside tuned classifiers. Else language models are compared by what they predict of the text. Where
    the base model's files hold no such head, tuned classifiers are patched against the first of them.
    """
    chosen = drawn_samples(samples, options.patch_samples, default=DEFAULT_PATCH_SAMPLES).samples
    try:
        with (
            world().together("base model with its head, loaded"),
            running_errors(f"the base model {base.ref!r} cannot be run with its head"),
        ):
            reference = headed_classifier(base, base, options) if is_classifier(base) else headed_base(base, options)
        return _against(reference, _BASE, base, tuned_models, chosen, options)
    except OutcomeNotApplicable as error:
        return _among_classifiers(base, tuned_models, chosen, options, str(error))
    except RepdriftError as error:
        return [_not_patched(tuned.name, _BASE, str(error)) for tuned in tuned_models]


def _against(
    reference: HeadedModel,
    name: str,
    base: ModelSource,
    tuned_models: Sequence[TunedModel],
    samples: SampleSet,
    options: ComparisonOptions,
) -> list[Patching]:
    """Patches every tuned model against `reference`, which is called `name`."""
    inputs = _inputs_of(reference, base, samples, options)
    rounding = _rounding(reference, base, inputs, options)
    found: list[Patching] = []
    for tuned in tuned_models:
        try:
            found.append(_shares_against(reference, name, base, tuned, inputs, rounding, options))
        except RepdriftError as error:
            found.append(_not_patched(tuned.name, name, str(error)))
    return found


def _shares_against(
    reference: HeadedModel,
    name: str,
    base: ModelSource,
    tuned: TunedModel,
    inputs: PatchInputs,
    rounding: Items | None,
    options: ComparisonOptions,
) -> Patching:
    """Loads one tuned model, patches it and frees it on leaving. Raises what loading and running raise."""
    with world().together(f"{tuned.name} with its head, loaded"), running_errors("it cannot be loaded with its head"):
        if reference.outputs == "classes":
            headed = headed_classifier(base, tuned.source, options)
            require_like_classes(reference, headed)
        else:
            headed = headed_tuned(base, tuned.source, reference, inputs.plan.samples, options)
            reference = replace(reference, kept=headed.kept)
    with running_errors("it cannot be patched"):
        distances = _distances(reference, headed, tuned.name, inputs, options)
    return shares_of(
        distances,
        model=tuned.name,
        against=name,
        reference=reference,
        samples=inputs.plan.samples,
        rounding=rounding,
        notes=headed.notes,
    )


def _among_classifiers(
    base: ModelSource, tuned_models: Sequence[TunedModel], samples: SampleSet, options: ComparisonOptions, why: str
) -> list[Patching]:
    """Patches tuned classifiers against the first of them that can be loaded. why: why the base model cannot be the reference."""
    why = f"{why.rstrip('.')}."
    refused: list[Patching] = []
    for position, tuned in enumerate(tuned_models):
        others = tuned_models[position + 1 :]
        try:
            with (
                world().together(f"{tuned.name} with its head, loaded"),
                running_errors("it cannot be loaded with its head"),
            ):
                if not is_classifier(tuned.source):
                    raise OutcomeNotApplicable(why)
                if not others:
                    raise OutcomeNotApplicable(
                        f"{why} Two tuned classifiers or more are patched against the first of them, or give a classifier as the base model."
                    )
                reference = headed_classifier(base, tuned.source, options)
        except RepdriftError as error:
            refused.append(_not_patched(tuned.name, _BASE, str(error)))
            continue
        first = _not_patched(
            tuned.name, _BASE, f"{why} It is what the other classifiers are patched against in the base model's place."
        )
        return [*refused, first, *_against(reference, tuned.name, base, others, samples, options)]
    return refused


def _not_patched(model: str, reference: str, reason: str) -> Patching:
    return Patching(model=model, reference=reference, status="not patched", reason=reason)


def shares_of(
    distances: PatchDistances,
    *,
    model: str,
    against: str,
    reference: HeadedModel,
    samples: SampleSet,
    rounding: Items | None = None,
    notes: Sequence[str] = (),
) -> Patching:
    """The shares of one model, or the reason why there are none.

    against: the reference's name. rounding: KL of the reference in float32 from itself as it was run, summed over each sample's rows; None: it was run in
    float32. notes: sentences that were found before.
    """
    outputs, kept = reference.outputs, distances.weights > 0
    without = int((~kept).sum())
    distances, samples = distances.of(kept), samples.part(np.flatnonzero(kept).tolist())
    whole = float(distances.weights.sum())
    change, noise = float(distances.change.sum()) / whole, float(distances.noise.sum()) / whole
    rounded = 0.0 if rounding is None else float(rounding.sum()) / whole
    of_noise = "in float32" if rounded > noise else "in other batches"
    noise = max(noise, rounded)
    common = {
        "model": model,
        "reference": against,
        "outputs": outputs,
        "unit": "nats per sample" if outputs == "classes" else "nats per token",
        "depth": len(reference.blocks),
        "samples": len(samples),
        "groups": len(set(samples.groups)) if is_grouped(samples.groups) and samples.groups else None,
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
            f"its outputs differ from the reference's by {short_number(change)} nats, and those of the reference from its own {of_noise} "
            f"by {short_number(noise)}: a share is taken of a change of at least {LEAST_OVER_NOISE:.0f} times the noise"
        )
        return Patching(**common, status="not patched", reason=reason)
    if without:
        has = "text has" if without == 1 else "texts have"
        notes = [*notes, f"{without} {has} no token that could be predicted, and no part in the shares."]
    layers: list[PatchedLayer] = []
    for layer in sorted(distances.undone):
        undone = ratio_of_sums(distances.undone[layer], distances.change, samples.groups)
        brought = ratio_of_sums(distances.brought[layer], distances.change_back, samples.groups)
        layers.append(
            PatchedLayer(
                layer=layer,
                undone=_share(undone, distances.undone[layer], whole),
                brought=_share(brought, distances.brought[layer], whole),
            )
        )
    held = ratio_of_sums(distances.change, distances.change, samples.groups).largest_share
    return Patching(
        **common,
        status="patched",
        layers=layers,
        largest_sample_share=held,
        notes=[*notes, *_notes(layers, held, samples, len(reference.blocks))],
    )


def _share(left: RatioOfSums, distances: Items, weight: float) -> PatchedShare:
    return PatchedShare(
        share=1 - left.ratio,
        low=None if left.interval is None else 1 - left.interval.high,
        high=None if left.interval is None else 1 - left.interval.low,
        distance=float(np.sum(distances)) / weight,
    )


def _notes(layers: Sequence[PatchedLayer], held: float, samples: SampleSet, depth: int) -> list[str]:
    notes: list[str] = []
    last = layers[-1]
    if last.layer == depth - 1 and last.undone.share < _ALL:
        notes.append(
            f"A final norm or a head differs: with the reference's state after the last layer, {percent(last.undone.share)} of the change is undone, and "
            "what is missing is made above it. A state may fit its own head better than the other one."
        )
    grouped = is_grouped(samples.groups)
    unit = samples.group_unit if grouped else "sample"
    if held > _ONE_HOLDS_MUCH:
        notes.append(f"One {unit} holds {percent(held)} of the change in outputs, so the shares are mostly about it.")
    if all(at.undone.low is None for at in layers):
        few = f"there are {len(samples)} samples, and an interval needs {LEAST_GROUPS} at least"
        if grouped:
            few = too_few_groups(len(set(samples.groups or ())), unit)
        notes.append(f"The shares have no intervals: {few}.")
    return notes


def _inputs_of(
    reference: HeadedModel, base: ModelSource, samples: SampleSet, options: ComparisonOptions
) -> PatchInputs:
    """The batches, and where outputs are compared: masked for a model that predicts masked tokens."""
    places = None
    if reference.head is not None:
        tokenizer = samples.tokenizer if samples.tokenizer is not None else load_tokenizer(base)
        places = read_places(samples, reference.head.kind, tokenizer)
        samples = places.inputs
    layers = _layers_of(reference, options)
    budget = options.token_budget or _token_budget(reference, len(layers), options)
    budget = 1 if scales_by_batch(reference.body) else budget
    plan = BatchPlan(samples, token_budget=budget)
    if reference.classifier is not None:
        extremes = reference.inputs(longest_and_shortest(samples).inputs)
        if reference.classifier.reads_padding(extremes):
            plan = BatchPlan(samples, token_budget=1)
    return PatchInputs(plan, None if places is None else places.places)


def _layers_of(reference: HeadedModel, options: ComparisonOptions) -> list[int]:
    chosen = None if options.patch_layers is None else list(options.patch_layers)
    return reference.blocks.select(chosen, model_name=type(reference.body).__name__)


def _rounding(
    reference: HeadedModel, base: ModelSource, inputs: PatchInputs, options: ComparisonOptions
) -> Items | None:
    """KL of the reference from itself in float32, for each sample; None where it is run in float32. It is loaded once more for this."""
    if options.compute_dtype == "float32":
        return None
    exact = options.model_copy(update={"compute_dtype": "float32"})
    with running_errors("the reference cannot be run in float32 beside it, which says how much the run itself rounds"):
        with world().together("reference in float32, loaded"):
            if reference.head is not None:
                model = headed_base(reference.source, exact)
            else:
                model = headed_classifier(base, reference.source, exact)
        return world().from_first(rounding_pass(model, reference, inputs, what="reference in float32"))


def _distances(
    reference: HeadedModel, headed: HeadedModel, name: str, inputs: PatchInputs, options: ComparisonOptions
) -> PatchDistances:
    """Runs both models. Raises ModelError if depths or widths differ, or one cannot be run on from a layer; what `patch_pass` raises."""
    depth, layers, samples = len(reference.blocks), _layers_of(reference, options), inputs.plan.samples
    if len(headed.blocks) != depth:
        raise ModelError(layer_count_fault(len(headed.blocks), depth))
    widths = [width_of(getattr(model.body, "config", None)) for model in (reference, headed)]
    if widths[0] != widths[1]:
        raise ModelError(f"its hidden states have {widths[1]} features, and those of the reference {widths[0]}")
    for model in (reference, headed):
        require_samples_fit(samples, model.body)
    say(cost_sentence(layers, depth, len(samples), sum(samples.lengths), name))
    distances = world().from_first(patch_pass(reference, headed, inputs, layers, what=name))
    assert distances is not None  # noqa: S101  the first process has them, and sends them
    return distances


def _token_budget(model: HeadedModel, n_layers: int, options: ComparisonOptions) -> int:
    """Tokens of a batch: the states of both models, and what follows from them, are held for every layer."""
    config = getattr(model.body, "config", None)
    itemsize = next(model.body.parameters()).element_size()
    held = 4 * n_layers * (width_of(config) or 0) * itemsize
    return auto_token_budget(
        config, itemsize=itemsize, captured_bytes_per_token=held, cap_bytes=options.memory_cap_bytes
    )
