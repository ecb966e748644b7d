"""Similarity of every layer of one model with every layer of another: matrices, and the best match of each layer."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

GRID_TABLE = "grid.parquet"

GridKind = Literal["base_tuned", "base_base", "tuned_tuned"]
"""Rows of the matrix are layers of the first model named, columns those of the second."""

RowIs = Literal["text", "token", "word"]
"""One row of a representation: a text, a token, or a word, whose row is the mean over the tokens that overlap it."""


class GridMatrix(Record):
    """One measure of every layer with every other."""

    kind: GridKind
    measure: str
    row_layers: list[int]
    column_layers: list[int]
    values: list[list[float | None]]
    """A list for each row; null where a layer has no value."""


class BestLayer(Record):
    """The layer of the other model that one layer matches best, by debiased CKA."""

    layer: int
    best: int
    value: float
    as_good: list[int]
    """Layers that are not shown to match worse, the best among them; with an interval, at 95 % for all layers of the model together."""
    ahead: float | None = None
    """Similarity with the best layer minus that with the second best; null where there is only one."""
    ahead_low: float | None = None
    ahead_high: float | None = None
    own: float | None = None
    """Similarity with the other model's layer of the same number."""
    before: float | None = None
    """Similarity of the base model's own layer of this number with the base layer `best`."""
    moved: Literal["up", "down"] | None = None
    """Up: the layer holds what an earlier base layer held, so that content stands later than it did. Null: nothing is shown to have moved."""


class ModelGrid(Record):
    """The grids of a base model and one tuned model."""

    row_is: RowIs = "text"
    rows: int
    matrices: list[GridMatrix]
    of_tuned: list[BestLayer]
    """For each layer of the tuned model, its best match among the base model's layers."""
    of_base: list[BestLayer]
    """For each layer of the base model, its best match among the tuned model's layers."""
    interval: str | None = None
    """The method of the intervals, with what is left out; null where there is none."""
    no_interval: str | None = None
    """The reason, as a clause, why no layer is told from another; null if layers are."""
    by_number: bool = True
    """Whether layers of the same number are one layer before and after tuning. If not, nothing is said of content that moved."""
    notes: list[str] = []
    """Whole sentences on layers and measures without a value, and on how rows were made."""


class RunGrid(Record):
    """The final model of one run beside its base model; its matrices are in grid.parquet."""

    task: str
    method: str
    seed: int
    found: ModelGrid


class MethodGrid(Record):
    """Base x tuned by debiased CKA, the mean over the final models of one method in one task."""

    task: str
    method: str
    seeds: list[int]
    base_tuned: GridMatrix
    """A value is null where one of the models has none."""


class TaskGrid(Record):
    """The base model with itself on the samples of one task."""

    task: str
    base_base: GridMatrix


class LayerMoveContrast(Record):
    """A method against the reference: by how many layers content is shown to stand later than before, as a mean over the layers of a model.

    A layer whose content is not shown to have moved counts 0; one that moved down counts below 0. The unit is the trained model; labels are
    exchanged within tasks.
    """

    method: str
    reference: str
    tasks: list[str]
    models: int
    reference_models: int
    mean: float
    """Mean over the models of the method."""
    reference_mean: float
    estimate: float | None
    """The difference of both, with the mean of each task counting alike."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    """Corrected over the methods (Holm)."""
    smallest_p: float | None = None
    """The least p that so many models can give."""
    note: str | None = None
    """A clause: why there is no interval or no p; null if both are there."""


class StudyGrid(Record):
    """The layer grids of a study's final models."""

    runs: list[RunGrid]
    methods: list[MethodGrid]
    tasks: list[TaskGrid]
    contrasts: list[LayerMoveContrast] = []
    """Every method against the reference; empty in results of older versions."""
    left_out: list[str] = []
    """Sentences on runs and tasks without a grid."""
