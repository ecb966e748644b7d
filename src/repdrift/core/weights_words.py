"""The change of the weights in words: where it is largest, in how many directions, and which directions are new."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.weights import ModelWeightsMoved, WeightGroup, WeightMoved
from repdrift.core.weight_groups import OUTSIDE_BLOCKS, kind_groups, layer_groups, whole_group
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import counted, listed, number, percent, some_listed

TITLE = "What moved in the weights"
KIND_TITLES = {
    "qkv": "query, key and value in one",
    "output": "attention output",
    "gate_up": "gate and up in one",
    "other": "other modules",
    OUTSIDE_BLOCKS: "outside the blocks",
}
GROUP_HEADER = (
    "changed", "relative change", "rank for 90 %", "stable rank", "alignment left", "right", "intruders"
)  # fmt: skip
_PACKED = "holds no ordinary floating-point weights"
ROUNDING = ": part of the change is rounding"
"""Words of a note on a weight that the tuned model's files keep in a coarser type."""
_NAMED = 3
_LINES = 6


def model_weights_worded(found: ModelWeightsMoved) -> WordedSection:
    """Returns the section on one tuned model."""
    answer = [
        *packed_sentence(found.not_compared), *_where(found), *_rounding(found), *_directions(found), *_intruders(found)
    ]  # fmt: skip
    tables = (
        [
            CaptionedTable("By kind of module", _CAPTION, ("module", *GROUP_HEADER), _rows(kind_groups(found.weights))),
            CaptionedTable(
                "By layer",
                "Columns as in the table by kind of module.",
                ("layer", *GROUP_HEADER),
                _rows(layer_groups(found.weights)),
            ),
        ]
        if _changed(found)
        else []
    )
    return WordedSection("weights", TITLE, answer, tables, notes=_notes(found), left_out=_left_out(found))


def packed_sentence(not_compared: Sequence[str]) -> list[str]:
    """Says that quantised weights are not among the numbers; nothing if there are none."""
    packed = [
        line.partition(":")[0] for line in not_compared if _PACKED in line and line.partition(":")[0].endswith("weight")
    ]
    if not packed:
        return []
    are = "weight is" if len(packed) == 1 else "weights are"
    return [
        f"{len(packed)} {are} quantised in the files of a model and not among these numbers: {some_listed(packed)}."
    ]


def relative_size(value: float) -> str:
    """A relative change in percent."""
    return percent(value)


def weight_named(at: WeightMoved) -> str:
    """Names a weight in a sentence: `up of layer 3 (intermediate.dense.weight)`."""
    where = " outside the blocks" if at.layer is None else f" of layer {at.layer}"
    return f"{group_title(at.kind)}{where} ({at.module})"


def group_title(group: str) -> str:
    """A kind of module, or a layer, as tables name it."""
    return KIND_TITLES.get(group, group)


def group_cells(group: WeightGroup) -> list[str]:
    """The cells of one group under GROUP_HEADER."""
    new = "none" if group.intruders is None else f"{group.intruders} of {group.vectors}"
    return [
        f"{group.changed} of {group.weights}",
        number(group.relative_change, missing="base is zero"),
        _short(group.rank_90),
        _short(group.stable_rank),
        number(group.alignment_left, missing="-"),
        number(group.alignment_right, missing="-"),
        "-" if group.intruders is None else new,
    ]


_CAPTION = (
    "Relative change: ||dW|| / ||W|| of the changed weights joined. Rank for 90 % and stable rank: of the change, median over the "
    "changed matrices. Alignment: of the leading left (outputs) and right (inputs) singular vectors of base and tuned matrix, mean; 1 is "
    "unchanged. Intruders: leading left singular vectors of the tuned matrices that are near none of the base's."
)


def _changed(found: ModelWeightsMoved) -> list[WeightMoved]:
    return [at for at in found.weights if at.change_norm > 0.0]


def _where(found: ModelWeightsMoved) -> list[str]:
    changed = _changed(found)
    if not changed:
        return [f"No weight changed: all {len(found.weights)} that were compared are those of the base model."]
    whole = whole_group(found.weights)
    size = (
        "" if whole.relative_change is None else f", by {relative_size(whole.relative_change)} of their size together"
    )
    said = [f"{len(changed)} of the {counted(len(found.weights), 'weight')} that were compared changed{size}."]
    ranked = sorted(
        (at for at in changed if at.relative_change is not None), key=lambda at: -(at.relative_change or 0.0)
    )
    matrices = [at for at in ranked if at.inputs is not None] or ranked
    if len(changed) == 1:
        return [
            f"One weight of {len(found.weights)} that were compared changed: {weight_named(changed[0])}{_by(changed[0])}."
        ]
    if matrices:
        named = [f"{weight_named(at)}{_by(at)}" for at in matrices[:_NAMED]]
        said.append(f"The matrices that changed most for their size: {listed(named)}.")
    if still := [f"{group_title(g.group)} ({g.weights})" for g in kind_groups(found.weights) if not g.changed]:
        said.append(f"Unchanged: {listed(still)}.")
    return said


def _rounding(found: ModelWeightsMoved) -> list[str]:
    """Says so if the tuned model's files have a coarser type: rounding moves nearly every number, in no direction of its own."""
    rounded = [at for at in _changed(found) if at.note is not None and ROUNDING in at.note]
    if not rounded:
        return []
    types = dict.fromkeys(at.note.partition(ROUNDING)[0] for at in rounded if at.note is not None)
    return [
        f"In {len(rounded)} of them a part of the change is rounding, since the tuned model's files have a coarser type ({'; '.join(types)}). Where a change is small, its "
        "size and rank, and that the weight changed at all, may be rounding alone."
    ]


def _by(at: WeightMoved) -> str:
    return "" if at.relative_change is None else f", by {relative_size(at.relative_change)}"


def _directions(found: ModelWeightsMoved) -> list[str]:
    matrices = [at for at in _changed(found) if at.rank_90 is not None and at.inputs is not None]
    if not matrices:
        return []
    if len(matrices) == 1:
        (at,) = matrices
        of = min(at.outputs, at.inputs or at.outputs)
        return [
            f"{counted(at.rank_90 or 0, 'direction')} of {of} {'carries' if at.rank_90 == 1 else 'carry'} 90 % of its change."
        ]
    whole = whole_group(found.weights)
    ranks = [at.rank_90 or 0 for at in matrices]
    return [
        f"In the median matrix {_short(whole.rank_90)} singular values carry 90 % of the change ({min(ranks)} to {max(ranks)}); its stable rank is "
        f"{_short(whole.stable_rank)}."
    ]


def _intruders(found: ModelWeightsMoved) -> list[str]:
    counted_in = [at for at in _changed(found) if at.intruders is not None]
    if not counted_in:
        return []
    whole = whole_group(found.weights)
    rule = f"(|cosine| below {found.intruder_cosine:g} with every left singular vector of the base)"
    if not whole.intruders:
        return [
            f"No intruder dimension among the {whole.vectors} leading left singular vectors of the changed matrices {rule}."
        ]
    worst = sorted((at for at in counted_in if at.intruders), key=lambda at: -(at.intruders or 0))
    named = some_listed([f"{weight_named(at)}: {at.intruders}" for at in worst])
    return [
        f"{counted(whole.intruders, 'intruder dimension')} among the {whole.vectors} leading left singular vectors of the changed matrices {rule}, in "
        f"{counted(len(worst), 'matrix', 'matrices')}: {named}."
    ]


def _notes(found: ModelWeightsMoved) -> list[str]:
    said = [
        f"The {found.leading} leading singular vectors of each matrix were compared, fewer where its rank is lower. A matrix is outputs by "
        "inputs, whichever way round its module keeps it."
    ]
    if any(at.inputs is not None and at.outputs > at.inputs for at in _changed(found)):
        said.append(
            "Where a matrix has more outputs than inputs, the base's left singular vectors do not span all outputs; a direction outside their "
            "span counts as an intruder."
        )
    return [*said, *(f"{note}." for note in found.notes), *_weight_notes(found)]


def _weight_notes(found: ModelWeightsMoved) -> list[str]:
    holders: dict[str, list[str]] = {}
    for at in found.weights:
        if at.note is not None and at.note not in found.notes:
            holders.setdefault(at.note, []).append(weight_named(at))
    return [f"{some_listed(names)}: {note}." for note, names in holders.items()]


def _left_out(found: ModelWeightsMoved) -> Sequence[str]:
    lines = [line if line.endswith(".") else f"{line}." for line in found.not_compared]
    more = len(lines) - _LINES
    return [*lines[:_LINES], f"{counted(more, 'more weight')} that comparison.json names."] if more > 0 else lines


def _rows(groups: Sequence[WeightGroup]) -> list[list[str]]:
    """The rows of the groups in which a weight changed."""
    return [[group_title(group.group), *group_cells(group)] for group in groups if group.changed]


def _short(value: float | None) -> str:
    return number(value, missing="-")
