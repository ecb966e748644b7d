"""Drift by site inside the block: what each site's drift is, whether attention or MLP moved more, and what is missing."""

from __future__ import annotations

from repdrift.core.records.base import Record
from repdrift.core.records.claims import HypothesisTest, Interval, Reduction


class SiteDrift(Record):
    """The drift of one site under one method: means over layers, then over final models.

    Drifts by the tested measure. They do not depend on the scale of a site's numbers (1 - CKA); `relative_change` does.
    """

    method: str
    site: str
    layers: list[int]
    """The layers with a value: -1 for `embeddings`, the number of blocks for `final_norm`."""
    n_models: int
    drift: float | None
    by_layer: list[float | None]
    """Mean drift over final models, in the order of `layers`."""
    relative_change: float | None = None
    """||X_tuned - X_base||_F / ||X_base||_F of the site's rows, mean over layers and models."""
    change_by_layer: list[float | None] = []
    """The relative change in each of `layers`."""
    noise_by_layer: list[float | None] = []
    """|drift| between two extractions of the base model in each of `layers`; null if not at hand."""
    change_noise_by_layer: list[float | None] = []
    """The relative change between two extractions of the base model in each of `layers`; null if not at hand."""
    noise_floor: float | None = None
    """|drift| between two extractions of the base model, mean over layers; null if not at hand."""
    mispaired_drift: float | None = None
    """Drift with the rows of one side shuffled, mean over layers."""
    seed_ceiling_drift: float | None = None
    """Mean drift between two seeds; null if there is one."""
    random_change_drift: float | None = None
    """Drift of the base model after a random change of the same size; null if not at hand."""


class AttentionOrMlp(Record):
    """The drift of what attention adds to the residual stream against that of what the MLP adds, over the layers that have both.

    The two are read from the same models and samples, so differences are paired.
    """

    method: str
    """A method, or a model's name in a comparison."""
    layers: list[int]
    n_models: int
    attention_drift: float | None
    mlp_drift: float | None
    difference: float | None
    """attention_drift - mlp_drift."""
    intervals: list[Interval] = []
    """Intervals of the difference: over models, where there are two or more of each task; over samples, for these models."""
    over: str | None = None
    """What `pvalue` is over: `models`, or `samples` for one model; null if there is none."""
    pvalue: float | None = None
    """Two-sided: sign flips of the models' differences, or for one model Student's t of the jackknife over samples."""
    smallest_pvalue: float | None = None
    """The smallest p that this number of models can give; null for samples."""
    test: str | None = None
    not_tested: str | None = None
    """The reason, as a clause, why there is no p."""
    attention_change: float | None = None
    """Relative change of attention's output, mean over these layers and models; null if not known."""
    mlp_change: float | None = None
    missing: str | None = None
    """The reason, as a clause, why there is no difference."""


class AdapterSize(Record):
    """The size of what an adapter adds by a branch of its own: ||adapter_out||_F / ||resid_post||_F of one tuned model at one layer.

    It has no drift: the base model has no such branch.
    """

    method: str
    """A method, or a model's name in a comparison."""
    seed: int | None = None
    layer: int
    relative_size: float


class SiteDrifts(Record):
    """Drift by site on one task, or over all tasks."""

    task: str
    """A task, or `all`."""
    drifts: list[SiteDrift] = []
    attention_or_mlp: list[AttentionOrMlp] = []
    """One for each method."""
    reductions: list[Reduction] = []
    """Of each contrast and site over layers, and for `all` in each layer too."""
    tests: list[HypothesisTest] = []
    """Whether a method drifts less at a site, corrected over the sites; for `all` also in each layer, corrected over sites and layers."""
    adapter_sizes: list[AdapterSize] = []
    massive: dict[str, list[int]] = {}
    """By site the layers at which one feature holds over half of the base model's variance: CKA speaks mostly of it there."""
    not_found: dict[str, str] = {}
    """Sites that were asked for and that have no drift, each with the reason."""
    notes: list[str] = []
    """Sentences on runs and controls without a site."""
