"""R^2 of predicting x from y by least squares, within the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import register
from repdrift.similarity.measures.linear_regression import LinearRegression, explained
from repdrift.similarity.subspaces.canonical import whitened
from repdrift.similarity.subspaces.principal import Principal

if TYPE_CHECKING:
    from repdrift.similarity.streaming.result import PairedResult


@register
class LinearRegressionReverse(LinearRegression):
    """||Uy'X||_F^2 / ||X||_F^2: how much of the base the tuned model still holds. Raises as the other direction."""

    name = "linear_regression_reverse"
    title = "linear regression, y to x"
    description = (
        "Share of the first side's variance that least squares on the second side explains, within the sample."
    )

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of x given y."""
        require_paired(x.n, y.n)  # named in the order in which they were given
        return super().compare(y, x)

    def from_sums(self, result: PairedResult) -> float:
        """From scatter matrices. Raises DegenerateInputError where they do not tell a direction of y from rounding."""
        return explained(whitened(result).swapped)
