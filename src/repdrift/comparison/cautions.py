"""Cautions of a comparison in plain sentences: models that changed nothing or too much, or are one. One sentence a matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from repdrift.core.records.comparison import ComparedModel
from repdrift.core.words import models_named, percent, short_number
from repdrift.drift.control_conditions import ZERO_DRIFT
from repdrift.drift.sanity import FIRST_LAYER_LIMIT
from repdrift.tasks import SampleSet

_TUNED_FROM_BASE = 0.5
"""Weights that moved by less than this share of their norm are those of the base model, tuned; unrelated ones are 1.4 apart."""

_NOISE = 1e-3
"""Share of a drift by which two runs of one model may differ in float32."""


def cautions(models: Sequence[ComparedModel], samples: SampleSet) -> list[str]:
    """Returns every caution as a sentence, in the order in which a reader should know them."""
    compared = [m for m in models if m.status == "compared"]
    found = _not_compared(models)
    found += _by_grid_alone(models)
    found += _next_to_nothing(compared)
    found += _first_layer(compared, samples)
    found += _same_weights(compared)
    if samples.truncated_samples:
        found.append(
            f"{samples.truncated_samples} of {len(samples)} samples were cut at the maximum length, alike for all models."
        )
    return found


def _outputs_changed(model: ComparedModel) -> bool:
    """True if the outputs were compared, and are not those of the base model."""
    changes = [] if model.outputs is None else model.outputs.changes
    return any(change.value > 0 for change in changes if change.outcome in ("output_kl", "disagreement"))


def _not_compared(models: Sequence[ComparedModel]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for model in models:
        if model.status == "not comparable":
            reasons.setdefault(model.reason or "", []).append(model.name)
    return [f"{models_named(n)} {_were(n)} not compared: {reason}" for reason, n in reasons.items()]


def _by_grid_alone(models: Sequence[ComparedModel]) -> list[str]:
    return [
        f"{model.name} has no drift by layer, and nothing else for which layers or weights are paired (controls, weights, patching): {model.reason} It is "
        "compared by the layer grid alone."
        for model in models
        if model.status == "compared by grid"
    ]


def _next_to_nothing(compared: Sequence[ComparedModel]) -> list[str]:
    nothing = [m for m in compared if all(abs(at.drift) <= ZERO_DRIFT for at in m.layers)]
    found: list[str] = []
    if elsewhere := _names(m for m in nothing if _outputs_changed(m)):
        found.append(
            f"{models_named(elsewhere)}: drift is zero in every layer that was measured, and the outputs differ from the base model's. The change lies "
            "in layers that were not measured, or above them: in the final norm or the head."
        )
    for kind, cause in (
        (
            "PEFT adapter",
            "an adapter whose B is zero (not trained yet), or that was never loaded into the model that was saved",
        ),
        ("full model", "training that took no step, or the base model under another name"),
    ):
        if names := _names(m for m in nothing if m.kind == kind and not _outputs_changed(m)):
            changes = "changes nothing: its drift is" if len(names) == 1 else "change nothing: their drift is"
            found.append(
                f"{models_named(names)} {changes} zero in every layer, to the last digits. The likely cause: {cause}."
            )
    within = [m for m in compared if m not in nothing and all(at.above_noise is False for at in m.layers)]
    rounded = _names(m for m in within if any(at.rounding_drift is not None for at in m.layers))
    if rounded:
        found.append(
            f"{models_named(rounded)} {_drift(rounded)} in no layer more than noise and the rounding of the weights explain: nothing is "
            "known to have moved."
        )
    if others := [name for name in _names(within) if name not in rounded]:
        changes = "it changes" if len(others) == 1 else "they change"
        found.append(
            f"{models_named(others)} {_drift(others)} nowhere more than the base model does between two runs: {changes} next to nothing."
        )
    return found


def _first_layer(compared: Sequence[ComparedModel], samples: SampleSet) -> list[str]:
    """Says that models drift much in the first layer, and which causes were ruled out and which were not."""
    high = [m for m in compared if m.layers[0].layer == 0 and m.layers[0].drift > FIRST_LAYER_LIMIT]
    if not high:
        return []
    names = _names(high)
    most = max(high, key=lambda model: model.layers[0].drift)
    size = short_number(most.layers[0].drift) + ("" if len(high) == 1 else f" at most, {most.name}")
    sure, unsure = [m for m in high if _is_of_base(m)], [m for m in high if not _is_of_base(m)]
    text = (
        f"{models_named(names)} {_drift(names)} by more than {FIRST_LAYER_LIMIT} in the first layer ({size}), which is much for fine-tuning. "
        f"Ruled out: other inputs (all models read the same tokens, fingerprint {samples.fingerprint[:12]}) and padding (it is in no mean)."
    )
    if sure:
        moved = max((_moved(m) or 0.0) for m in sure)
        text += (
            f" Another base model is ruled out for {models_named(_names(sure))}: "
            f"{'its' if len(sure) == 1 else 'their'} weights moved by at most {percent(moved)} of their norm."
        )
    if unsure:
        text += f" Not ruled out for {models_named(_names(unsure))}: that another model than this base was tuned."
    return [text]


def _is_of_base(model: ComparedModel) -> bool:
    """Tells whether the model was surely tuned from this base model. An adapter's small change does not tell what it was trained on."""
    moved = _moved(model)
    return model.kind == "full model" and moved is not None and moved < _TUNED_FROM_BASE


def _moved(model: ComparedModel) -> float | None:
    """The largest relative change of a layer's weights; None if the weights were not compared."""
    return max(
        (at.weights["weight_relative_change"] for at in model.layers if "weight_relative_change" in at.weights),
        default=None,
    )


def _same_weights(compared: Sequence[ComparedModel]) -> list[str]:
    holders: dict[str, list[str]] = {}
    for model in compared:
        if model.weights_digest is not None:
            holders.setdefault(model.weights_digest, []).append(model.name)
    found: list[str] = []
    for names in (names for names in holders.values() if len(names) > 1):
        alike = _alike([m for m in compared if m.name in names])
        found += [
            f"{models_named(_names(group))} have the same weights: they are one model, not {len(group)}."
            for group in alike
            if len(group) > 1
        ]
        if len(alike) > 1:
            found.append(
                f"{models_named(names)} have the same weights and yet not the same drift: their configurations make other models of them."
            )
    return found


def _alike(models: Sequence[ComparedModel]) -> list[list[ComparedModel]]:
    """Groups of models with the same drift in every layer, up to the noise of a run in other batches."""
    groups: list[list[ComparedModel]] = []
    for model in models:
        of = next((group for group in groups if _same_drift(group[0], model)), None)
        if of is None:
            groups.append([model])
        else:
            of.append(model)
    return groups


def _same_drift(one: ComparedModel, other: ComparedModel) -> bool:
    pairs = zip(one.layers, other.layers, strict=True)
    return all(abs(a.drift - b.drift) <= ZERO_DRIFT + _NOISE * abs(a.drift) for a, b in pairs)


def _names(models: Iterable[ComparedModel]) -> list[str]:
    return [model.name for model in models]


def _were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _drift(names: Sequence[str]) -> str:
    return "drifts" if len(names) == 1 else "drift"
