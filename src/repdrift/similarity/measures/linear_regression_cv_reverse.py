"""R^2 of predicting x from y by ridge regression, of samples left out of the fit."""

from __future__ import annotations

from repdrift.similarity.inputs import require_paired
from repdrift.similarity.measure import register
from repdrift.similarity.measures.linear_regression_cv import LinearRegressionCv
from repdrift.similarity.subspaces.principal import Principal


@register
class LinearRegressionCvReverse(LinearRegressionCv):
    """The same in the other direction: how much of the base the tuned model still holds."""

    name = "linear_regression_cv_reverse"
    title = "linear regression, y to x, cross-validated"
    description = (
        "Leave-one-out R^2 of the first side from the second, by ridge; its penalty by generalised cross-validation."
    )

    def compare(self, x: Principal, y: Principal) -> float:
        """R^2 of x given y."""
        require_paired(x.n, y.n)  # named in the order in which they were given
        return super().compare(y, x)
