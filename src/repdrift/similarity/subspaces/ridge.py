"""Ridge regression of one side on the other, for samples that the fit has not seen: leave-one-out in closed form.

With the components U diag(s) of the centred predictors and a penalty t, a fit keeps s^2 / (s^2 + t) of each component
and loses w = t / (s^2 + t). When sample i is left out, its residual is its residual in the whole fit divided by
1 - 1/n - h_i, where h_i is its leverage and 1/n that of the intercept. Source: Golub, Heath and Wahba 1979 (generalised
cross-validation); Allen 1974 (PRESS).
"""

from __future__ import annotations

import torch
from torch import Tensor

from repdrift.similarity.arrays import require_paired
from repdrift.similarity.subspaces.principal import Principal

_EXPONENTS = torch.arange(-48, 17, dtype=torch.float64) / 4
"""Penalties are 10 to the power of these, times the mean s^2. They go from a fit that loses nothing, even where one massive
component makes the mean, to one that predicts the mean. A finer grid moves R^2 by less than 0.002."""

_MET = 16 * torch.finfo(torch.float64).eps
"""A sample whose leverage is this close to 1 - 1/n has one direction to itself, and no residual."""


def leave_one_out_r2(x: Principal, y: Principal) -> float:
    """1 - squared error / squared error of the mean, predicting each sample of y from x as fitted to all others.

    The mean is taken over the others too, so that 0 is a prediction that knows nothing of x; R^2 can be negative. One
    penalty serves all features and samples: the one of least generalised cross-validation error over all samples. Only
    the penalty has seen the sample that is left out.
    Raises ShapeError unless both sides have the same samples.
    """
    require_paired(x.n, y.n)
    n = x.n
    target = y.u * y.s
    known = x.u.T @ target
    outside = 1 - 1 / n - x.u.square().sum(dim=1)
    if x.rank == n - 1:
        outside = torch.zeros_like(outside)
    # A sample outside the span of the others is met exactly: differences would leave only rounding of it.
    outside = torch.where(outside > _MET, outside, 0.0)
    rest = torch.where(outside[:, None] > 0, target - x.u @ known, 0.0)
    lost = _lost(x, known.square().sum(dim=1), float(rest.square().sum()))
    residuals = rest + x.u @ (lost[:, None] * known)
    errors = residuals.square().sum(dim=1) / (outside + x.u.square() @ lost).square()
    return 1 - float(errors.sum()) / (float(target.square().sum()) * (n / (n - 1)) ** 2)


def _lost(x: Principal, known: Tensor, rest: float) -> Tensor:
    """Share of each component that the best penalty takes off: (r,).

    known: (r,) sums of squares of y along the components; rest: sum of squares of y outside of them.
    """
    squares = x.s.square()
    penalties = 10 ** _EXPONENTS.to(x.device) * squares.mean()
    lost = penalties[:, None] / (squares + penalties[:, None])
    errors = (rest + lost.square() @ known) / (x.n - 1 - x.rank + lost.sum(dim=1)).square()
    return lost[int(errors.argmin())]
