"""Likeness of the changes of any two models: of their weights, of their drift by layer, and of the directions in which rows moved."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

LIKENESS_TABLE = "likeness.parquet"
LikenessOf = Literal["weights", "profiles", "directions"]


class LikenessModel(Record):
    """One model of the matrices. task, method, seed: of a run of a study; null in a comparison."""

    name: str
    task: str | None = None
    method: str | None = None
    seed: int | None = None


class GroupLikeness(Record):
    """Likeness of two changes in one group of weights: all, one kind of module, one layer, or one module: a kind in a layer."""

    by: Literal["all", "kind", "layer", "module"]
    group: str
    weights: int
    """Weights of the group that at least one of the two changed, and that are known of both."""
    cosine: float | None
    """<dW1, dW2> / (||dW1|| ||dW2||) over all numbers of the group; null with the reason in `missing`."""
    chance: float | None = None
    """Root mean square cosine of changes with the same singular values whose singular vectors are drawn at random."""
    left: float | None = None
    """Mean squared cosine of the principal angles between the leading left singular subspaces (outputs); mean over matrices that both changed."""
    right: float | None = None
    """The same of the right ones (inputs)."""
    left_chance: float | None = None
    """The mean for subspaces drawn at random: k / d."""
    right_chance: float | None = None
    left_angle: float | None = None
    """The smallest principal angle in degrees, mean over matrices."""
    right_angle: float | None = None
    missing: str | None = None


class PairLikeness(Record):
    """Likeness of two models, by their places in `models`."""

    first: int
    second: int
    whole: GroupLikeness
    groups: list[GroupLikeness] = []
    """By kind of module, by layer and by module (`query of layer 3`); empty in a study, whose table has them."""


class ProfilePair(Record):
    """Likeness of the drifts by layer of two models: neither has an interval, since layers are no independent units."""

    first: int
    second: int
    spearman: float | None
    cosine: float | None
    missing: str | None = None


class DirectionPair(Record):
    """Likeness of the mean differences tuned - base of two models over the same samples, in one layer."""

    first: int
    second: int
    layer: int
    cosine: float | None
    unbiased: float | None = None
    """The cosine without what noise does to it; null where a shift is no larger than noise."""
    chance: float | None = None
    """The size that 5 % of the cosines of unrelated directions exceed."""
    missing: str | None = None


class LikenessContrast(Record):
    """Models of one label (method, or task) against models of different labels: are those of one label more alike?

    Labels of whole models are permuted among the models of each block, as in ANOSIM with blocks: the statistic is the mean likeness of pairs of one
    label minus that of pairs of different labels. Pairs of one block do not count. Blocks of methods and tasks are seeds, since models of one seed may
    share their start; blocks of seeds are methods. One-sided: large is alike.
    """

    of: LikenessOf
    within: str
    """What all of these models share, such as their task."""
    label: Literal["method", "task", "seed"]
    labels: list[str]
    models: int
    mean_within: float
    mean_between: float
    difference: float
    pvalue: float | None
    smallest_pvalue: float | None
    """The smallest p-value that so many models of each label can reach."""
    exact: bool = True
    missing: str | None = None

    @property
    def block(self) -> Literal["method", "seed"]:
        """The name of that which pairs that count do not share."""
        return "method" if self.label == "seed" else "seed"


class ChangeLikeness(Record):
    """Likenesses of the changes of any two models."""

    models: list[LikenessModel]
    pairs: list[PairLikeness] = []
    profiles: list[ProfilePair] = []
    directions: list[DirectionPair] = []
    contrasts: list[LikenessContrast] = []
    order: list[int] = []
    """Places in `models` as clustering by the cosine of weights puts them (average linkage); models without one come last."""
    profile_order: list[int] = []
    """The same by the rank correlation of drift by layer; empty in results of older versions."""
    direction_order: list[int] = []
    """The same by the cosine of mean differences, mean over layers."""
    leading: int = 10
    """Leading singular vectors that subspaces are made of, at most."""
    cautions: list[str] = []
    """Sentences: what makes changes look alike beside training, such as the rounding of files."""
    notes: list[str] = []
    left_out: list[str] = []
    """Sentences: models or parts without numbers, and why."""
