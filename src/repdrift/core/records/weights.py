"""The change of the weights of a model: a record for every weight, with the spectrum of its change, and means over models."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

ModuleKind = Literal[
    "query",
    "key",
    "value",
    "qkv",
    "output",
    "up",
    "gate",
    "gate_up",
    "down",
    "embedding",
    "head",
    "norm",
    "bias",
    "other",
]
"""The part that a weight plays; `qkv` and `gate_up` are several in one matrix, `output` is that of attention, `head` lies behind the backbone."""

MODULE_KINDS: tuple[ModuleKind, ...] = (
    "query", "key", "value", "qkv", "output", "up", "gate", "gate_up", "down", "embedding", "head", "norm", "bias", "other"
)  # fmt: skip


class WeightMoved(Record):
    """The change dW of one weight W of a tuned model; norms are Frobenius norms, dimensionless.

    A matrix is (outputs, inputs) whichever way its module keeps it, and left singular vectors are those of the outputs. Of a bias
    or a gain, and of anything else that is no matrix, only the size is known: the other fields are null.
    """

    layer: int | None
    """The block, or null for what lies outside all blocks."""
    module: str
    """The parameter's name inside its block, inside the backbone, or of a head inside the model; a matrix of a stack has its number in brackets."""
    kind: ModuleKind
    outputs: int
    """Rows of the matrix, or the length of a vector."""
    inputs: int | None = None
    """Columns of the matrix."""
    norm: float
    """||W|| in the base model."""
    change_norm: float
    """||dW||."""
    relative_change: float | None = None
    """||dW|| / ||W||; null where W is zero."""
    stable_rank: float | None = None
    """||dW||_F^2 / ||dW||_2^2; 0 where nothing changed."""
    rank_90: int | None = None
    """The number of singular values of dW that carry 90 % of ||dW||_F^2; 0 where nothing changed."""
    adapter_rank: int | None = None
    """LoRA's r, where the change was computed from the factors; null otherwise."""
    k: int | None = None
    """Leading singular vectors that were compared: fewer than asked for where a matrix has a lower rank."""
    alignment_left: float | None = None
    """||U_k' V_k||_F^2 / k of the leading left singular vectors of base and tuned matrix, in [0, 1]; null where k is all of the space."""
    alignment_right: float | None = None
    """The same of the right singular vectors."""
    intruders: int | None = None
    """Of the k leading left singular vectors of the tuned matrix, those near no left singular vector of the base."""
    note: str | None = None
    """The part of the change that these numbers do not cover."""


class ModelWeightsMoved(Record):
    """The change of each weight of one tuned model."""

    leading: int
    """The number k of leading singular vectors that were asked for."""
    intruder_cosine: float
    """A tuned vector whose |cosine| with every base vector is below this is an intruder."""
    weights: list[WeightMoved]
    """Blocks by number, then what lies outside the blocks."""
    not_compared: list[str] = []
    """Weights that are left out, each with the reason."""
    notes: list[str] = []
    """Weights that were compared in part."""


class MovedWeightsFile(Record):
    """The record beside the rows of one model, written last: without it the rows are unfinished."""

    format_version: Literal[2] = 2
    key: str
    """Hash of both models' weights and of the settings: same key, same numbers."""
    rows: int
    rows_sha256: str
    """SHA-256 of the file with the rows."""
    leading: int
    intruder_cosine: float
    not_compared: list[str] = []
    notes: list[str] = []
    created: str
    versions: dict[str, str] = {}


class WeightGroup(Record):
    """The weights of one group taken together: all of a model, of one kind, or of one layer.

    Only the weights that changed count, apart from `weights`. Norms are joined: the root of the sum of their squares.
    """

    group: str
    """`all`, a kind of module, or a layer's number; `outside` for what lies outside all blocks."""
    weights: int
    """How many were compared."""
    changed: int
    """How many of them changed."""
    change_norm: float = 0.0
    """||dW|| of all weights of the group joined: a weight that did not change adds nothing."""
    relative_change: float | None = None
    """||dW|| / ||W|| of the changed weights joined; 0 where none changed, null where W is zero."""
    stable_rank: float | None = None
    """Median over the changed matrices."""
    rank_90: float | None = None
    """Median over the changed matrices."""
    alignment_left: float | None = None
    """Mean over the changed matrices that have it."""
    alignment_right: float | None = None
    """Mean over the changed matrices that have it."""
    intruders: int | None = None
    """Sum over the changed matrices; null where there is no matrix."""
    vectors: int = 0
    """Leading singular vectors among which they were counted: the sum of k."""


class RunWeightsMoved(Record):
    """The change of the weights of one trained model, joined; `weights.parquet` has each weight."""

    task: str
    method: str
    seed: int
    step: int
    """0 is the final model."""
    whole: WeightGroup
    kinds: list[WeightGroup]
    layers: list[WeightGroup]
    not_compared: list[str] = []
    notes: list[str] = []


class WeightsOverSeeds(Record):
    """Final models of one method on one task: means over seeds, with the standard deviation from three seeds on."""

    task: str
    method: str
    part: Literal["all", "kind", "layer"]
    group: str
    """As in `WeightGroup`."""
    seeds: list[int]
    change_norm: float
    change_norm_sd: float | None
    relative_change: float | None
    relative_change_sd: float | None
    rank_90: float | None
    rank_90_sd: float | None
    alignment_left: float | None
    alignment_right: float | None
    intruder_share: float | None
    """Intruders among the leading singular vectors that were looked at, in [0, 1]."""
    intruder_share_sd: float | None


class WeightCell(Record):
    """Weights of one kind in one layer: means over all final models of a method, of every task."""

    method: str
    kind: ModuleKind
    layer: int
    models: int
    relative_change: float | None
    """Geometric mean over the models in which it changed."""
    intruders: float | None


class WeightContrast(Record):
    """One number of the final models of two methods, compared over trained models, never over matrices."""

    method: str
    reference: str
    quantity: Literal["change_norm", "intruder_share"]
    tasks: list[str]
    """The tasks on which both methods have models; labels are exchanged within them."""
    models: int
    reference_models: int
    estimate: float | None
    """For the distance ||dW|| over all weights the ratio of geometric means, method to reference; for the share of intruders, in the matrices that all
    models of both changed on a task, the difference."""
    low: float | None = None
    high: float | None = None
    """Welch's interval over models, for the ratio on its logarithm."""
    p: float | None = None
    """Two-sided label permutation within tasks."""
    p_adjusted: float | None = None
    """After Holm's correction over all contrasts of this section."""
    smallest_p: float | None = None
    """The least p that this design can give."""
    note: str | None = None
    """The reason why there is no interval or test."""


class StudyWeightsMoved(Record):
    """The change of the weights of all trained models of a study whose weights could be read."""

    leading: int
    intruder_cosine: float
    confidence: float = 0.95
    runs: list[RunWeightsMoved]
    over_seeds: list[WeightsOverSeeds]
    cells: list[WeightCell] = []
    contrasts: list[WeightContrast] = []
    left_out: dict[str, str] = {}
    """By trained model: the reason why it has no numbers."""
    notes: list[str] = []
