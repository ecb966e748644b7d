"""Likeness of changes in words: which models changed alike, and by how much more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from repdrift.core.likeness_matrices import LikenessMatrix, common_layers, likeness_matrix
from repdrift.core.records.likeness import (
    ChangeLikeness,
    GroupLikeness,
    LikenessContrast,
    LikenessOf,
    PairLikeness,
)
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import (
    counted,
    layers_named,
    listed,
    method_title,
    number,
    p_equals,
    pvalue,
    short_number,
    task_title,
)

TITLE = "How alike the changes are"
_MOST_MODELS = 12
_MOST_PAIRS = 20
_MATRICES: Mapping[LikenessOf, tuple[str, str]] = {
    "weights": ("Cosines of the changes of weights", "Over all weights."),
    "profiles": ("Rank correlations of drift by layer", "Over the layers."),
    "directions": ("Cosines of the mean differences", "Models of other samples have none."),
}
_OF = {"weights": "changes of the weights", "profiles": "drifts by layer", "directions": "directions"}


def likeness_section(found: ChangeLikeness) -> WordedSection:
    """Returns the section on the likeness of changes."""
    answer = [
        *_weights(found), *found.cautions, *(contrast_sentence(contrast) for contrast in found.contrasts), *_profiles(found), *_directions(found)
    ]  # fmt: skip
    tables = [table for table in (*_matrices(found), _pairs(found), _kinds(found)) if table.rows]
    return WordedSection(
        "likeness", TITLE, answer, tables, notes=[*_notes(found), *found.notes], left_out=found.left_out
    )


def contrast_sentence(contrast: LikenessContrast) -> str:
    """Says whether models of one label, such as one method, are more alike than models of different labels, with p."""
    title = task_title if contrast.label == "task" else method_title
    is_seed = contrast.label == "seed"
    names = counted(len(contrast.labels), "seed") if is_seed else listed([title(label) for label in contrast.labels])
    one, other = f"two models of one {contrast.label}", f"models of different {contrast.label}s"
    direction = "more" if contrast.difference > 0 else "no more"
    tested = ""
    if contrast.pvalue is not None:
        tested = f", {p_equals(contrast.pvalue)} (smallest possible: {pvalue(contrast.smallest_pvalue)})"
    return (
        f"{contrast.within}: {_OF[contrast.of]} of {one} are {direction} alike than those of {other} ({names}): mean "
        f"{_measure(contrast)} {contrast.mean_within:.2f} against {contrast.mean_between:.2f} over pairs of different {contrast.block}s{tested}, labels of "
        f"{counted(contrast.models, 'model')} permuted within {contrast.block}s."
    )


def _measure(contrast: LikenessContrast) -> str:
    return "rank correlation" if contrast.of == "profiles" else "cosine"


def _weights(found: ChangeLikeness) -> list[str]:
    there = [(pair, pair.whole.cosine) for pair in found.pairs if pair.whole.cosine is not None]
    if not there:
        reasons = dict.fromkeys(pair.whole.missing for pair in found.pairs if pair.whole.missing)
        return [f"The changes of the weights have no cosine: {'; '.join(reasons)}."] if reasons else []
    there.sort(key=lambda item: item[1], reverse=True)
    (most, high), (least, low) = there[0], there[-1]
    sentences = [
        f"The weights of {_both(found, most)} changed most alike of {counted(len(there), 'pair')}: cosine {high:.3f}, {_beside_chance(most.whole)}.{_one_seed(found, most)}"
        if len(there) > 1
        else f"The changes of the weights of {_both(found, most)} have a cosine of {high:.3f}, {_beside_chance(most.whole)}."
    ]
    if len(there) > 1:
        sentences.append(
            f"Those of {_both(found, least)} are least alike: cosine {low:.3f}, {_beside_chance(least.whole)}."
        )
    return sentences


def _one_seed(found: ChangeLikeness, pair: PairLikeness) -> str:
    seed = found.models[pair.first].seed
    if seed is None or seed != found.models[pair.second].seed:
        return ""
    return " The two share their seed: they start from one new head and may start from one adapter, and see their rows in one order."


def _beside_chance(group: GroupLikeness) -> str:
    if group.chance is None:
        return "with no level of chance"
    if group.chance == 0.0:
        return "since no weight changed in both"
    return f"where directions drawn at random give {short_number(group.chance)} in size"


def _profiles(found: ChangeLikeness) -> list[str]:
    there = [pair.spearman for pair in found.profiles if pair.spearman is not None]
    if not there:
        return []
    where = f"of {counted(len(there), 'pair')} of models lie between {min(there):.2f} and {max(there):.2f}"
    if len(there) == 1:
        return [f"Their drifts by layer have a rank correlation of {there[0]:.2f} over layers."]
    return [f"Rank correlations of drift by layer {where} (mean {fmean(there):.2f})."]


def _directions(found: ChangeLikeness) -> list[str]:
    there = [at for at in found.directions if at.cosine is not None]
    if not there:
        return []
    beyond = [at for at in there if at.chance is not None and abs(at.cosine or 0.0) > at.chance]
    if not beyond:
        return [
            f"The mean directions in which rows moved are alike beyond chance in none of {counted(len(there), 'pair')} of models and layers."
        ]
    largest = max(beyond, key=lambda at: abs(at.cosine or 0.0))
    named = f"{found.models[largest.first].name} and {found.models[largest.second].name}"
    return [
        f"The mean directions in which rows moved are alike beyond chance in {len(beyond)} of {counted(len(there), 'pair')} of models and layers; most in layer "
        f"{largest.layer} of {named}: cosine {largest.cosine:.2f}, where 5 % of unrelated directions exceed {number(largest.chance)} in size."
    ]


def _both(found: ChangeLikeness, pair: PairLikeness) -> str:
    return f"{found.models[pair.first].name} and {found.models[pair.second].name}"


def _matrices(found: ChangeLikeness) -> list[CaptionedTable]:
    """A matrix of each kind of likeness that these models have."""
    return [_matrix(found, likeness_matrix(found, of)) for of in _MATRICES]


def _matrix(found: ChangeLikeness, matrix: LikenessMatrix) -> CaptionedTable:
    title, over = _MATRICES[matrix.of]
    caption, order = f"{over} Models are in the order in which they cluster by it.", matrix.order
    if not 3 <= len(order) <= _MOST_MODELS:
        return CaptionedTable(title, caption, (), ())
    by_pair = {frozenset(pair): value for pair, value in matrix.values.items()}
    rows = [
        [found.models[i].name, *("1" if i == j else _cell(by_pair.get(frozenset((i, j)))) for j in order)]
        for i in order
    ]
    return CaptionedTable(title, caption, ["model", *(found.models[j].name for j in order)], rows)


def _pairs(found: ChangeLikeness) -> CaptionedTable:
    there = sorted(found.pairs, key=lambda pair: -2.0 if pair.whole.cosine is None else pair.whole.cosine, reverse=True)
    more = (
        f" The {_MOST_PAIRS} most alike of {len(there)}; likeness.parquet has all." if len(there) > _MOST_PAIRS else ""
    )
    caption = (
        "Chance: root mean square cosine of changes of the same singular values whose singular vectors are drawn at random. Left and right: mean "
        f"squared cosine of the principal angles between the directions that carry 90 % of each change, {found.leading} at most, of outputs and inputs, "
        f"mean over the matrices that both changed, and in brackets that of random subspaces.{more}"
    )
    rows = [[found.models[p.first].name, found.models[p.second].name, *_cells(p.whole)] for p in there[:_MOST_PAIRS]]
    return CaptionedTable(
        "Pairs of models", caption, ("model", "other", "weights", "cosine", "chance", "left", "right"), rows
    )


def _kinds(found: ChangeLikeness) -> CaptionedTable:
    """By kind of module: of the only pair, or the mean over pairs."""
    groups: dict[str, list[GroupLikeness]] = {}
    for pair in found.pairs:
        for group in pair.groups:
            if group.by == "kind" and group.cosine is not None:
                groups.setdefault(group.group, []).append(group)
    rows = [
        [
            kind,
            str(len(of)),
            _cell(_mean([g.cosine for g in of])),
            _cell(_mean([g.left for g in of])),
            _cell(_mean([g.right for g in of])),
        ]
        for kind, of in groups.items()
    ]
    caption = "Mean over the pairs of models that both changed weights of this kind."
    return CaptionedTable("By kind of module", caption, ("module", "pairs", "cosine", "left", "right"), rows)


def _cells(group: GroupLikeness) -> list[str]:
    cosine = _cell(group.cosine) if group.cosine is not None else f"missing: {group.missing}"
    sides = [
        "none" if value is None else f"{_cell(value)} ({number(chance)})"
        for value, chance in ((group.left, group.left_chance), (group.right, group.right_chance))
    ]
    return [str(group.weights), cosine, number(group.chance, missing="none"), *sides]


def _cell(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def _notes(found: ChangeLikeness) -> list[str]:
    notes: list[str] = []
    if any(pair.whole.cosine is not None for pair in found.pairs):
        notes.append(
            "A cosine of changes is <dW1, dW2> / (||dW1|| ||dW2||), summed over all weights of the base model's body, and of heads that all have; a module that an adapter is not on "
            "counts as unchanged there. Models of one seed have a new head and rows in common order, and adapters of one seed may start from the same matrices A: "
            "they are more alike for that, whatever the method."
        )
    if any(pair.cosine is not None for pair in found.profiles):
        notes.append(
            "Profiles of drift rise toward the top layers in most models, so high rank correlations are usual; layers are no independent units, and "
            "there is no interval. Their plain cosine (in the table) is near 1 for any two profiles above 0."
        )
    if every := {at.layer for at in found.directions}:
        where = layers_named(common_layers(found.directions))
        notes.append(
            f"One cosine of the mean differences of two models is the mean over {where}: the layers, of {len(every)}, in which every pair has one."
        )
    return notes
