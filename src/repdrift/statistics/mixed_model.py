"""A linear mixed model of log drift: a second opinion on the reduction, for the population of tasks like these."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr  # pyright: ignore[reportMissingTypeStubs]

from repdrift.core.confidence import Interval, student_quantile, upper_level
from repdrift.statistics.arrangements import Floats, Groups, by_stratum, finite, not_above_zero

LEAST_TASKS = 3
"""The fewest tasks. With two, one number shows how a difference varies, and Student's t has the quantile 12.7."""
_SINGULAR = 1e-2
"""A variance between tasks up to this, in units of the variance between seeds, counts as none."""
_START = 0.3
"""The variance of the interaction from which the search starts, in the same units."""
_GAIN = 1e-3
"""The log likelihood that the interaction has to add. It lies above the optimiser's own error."""


@dataclass(frozen=True)
class MixedModelResult:
    """The reduction of a mixed model, 1 - exp(effect of the method on log drift), and its two-sided interval.

    pvalue: two-sided, for a reduction of 0. random_slope: whether the method's effect was found to vary over tasks; if
    not, the fit is the one without such variation. n_units: trained models. missing: why there are no numbers; a fit
    that did not converge gives none.
    """

    reduction: float | None
    interval: Interval | None
    pvalue: float | None
    degrees_of_freedom: float | None
    random_slope: bool | None
    n_units: int
    missing: str | None = None


@dataclass(frozen=True)
class _Fit:
    """One REML fit: effects (2,), their covariance (2, 2), and the restricted log likelihood.

    between_tasks: the variance of the random intercept, in units of that between seeds. failure: why the fit cannot be
    used; None if it can.
    """

    effects: Floats
    covariance: Floats
    between_tasks: float
    likelihood: float
    failure: str | None


def mixed_model_reduction(
    reference: ArrayLike, comparison: ArrayLike, *, strata: Sequence[object], confidence: float = 0.95
) -> MixedModelResult:
    """The reduction of comparison against reference by a linear mixed model of log drift, fitted by REML.

    reference: (m,), comparison: (k,) drifts, one per trained model; strata (tasks) label reference, then comparison.
    log drift = intercept + method + task (random) + method x task (random, independent of it) + seed. If the REML
    estimate of the interaction's variance is zero, the model without the interaction is the same fit and is reported.
    The interval holds for the population of tasks that these were drawn from. Without the interaction it would be too
    narrow for that: 95 % intervals cover 62 to 84 % of the time once tasks differ as much as seeds.
    Student's t has tasks - 1 degrees of freedom, or models - tasks - 1 if the interaction is estimated as zero: 95 %
    intervals then cover 93 to 97 % with 3, 4 and 6 tasks, 3, 5 and 10 seeds, whatever the interaction (normal quantiles:
    82 to 96 %). The model assumes the same spread in all tasks and methods.
    There are no numbers, for the reason `missing`, with fewer than 3 tasks, a drift that is not above zero, no two
    models in any cell, no variation, or a fit that fails to converge or has no variance between tasks (singular).
    Raises ShapeError unless every stratum has both methods, NonFiniteError, ConfigError unless 0 < confidence < 1.
    Source: Laird and Ware 1982; statsmodels' MixedLM. Departure: Student's t.
    """
    upper = upper_level(confidence)
    values = {"reference": finite(reference, "reference"), "comparison": finite(comparison, "comparison")}
    n_units = sum(drifts.size for drifts in values.values())

    def without(reason: str) -> MixedModelResult:
        return MixedModelResult(None, None, None, None, None, n_units, reason)

    groups = by_stratum(values["reference"], values["comparison"], strata)
    if len(groups) < LEAST_TASKS:
        return without(
            f"a mixed model over tasks needs at least {LEAST_TASKS}, to see how methods differ from task to task; "
            f"got {len(groups)}"
        )
    for name, drifts in values.items():
        if (reason := not_above_zero(drifts, name)) is not None:
            return without(reason)
    logs = [(np.log(ref), np.log(comp)) for ref, comp in groups]
    residual = [x - x.mean() for group in logs for x in group]
    freedom = n_units - len(residual)
    if freedom < 1:
        return without("no task has two models of one method: there is no spread between seeds to fit")
    spread = math.sqrt(sum(float(x @ x) for x in residual) / freedom)
    if spread <= 1e-12:
        return without("models of one method and task do not vary: there is no spread between seeds to fit")
    fit, random_slope = _best_fit([(ref / spread, comp / spread) for ref, comp in logs])
    if fit.failure is not None:
        return without(fit.failure)
    effect, error = spread * float(fit.effects[1]), spread * math.sqrt(float(fit.covariance[1, 1]))
    df = len(groups) - 1 if random_slope else n_units - len(groups) - 1
    reach = student_quantile(upper, df) * error
    return MixedModelResult(
        reduction=1 - math.exp(effect),
        interval=Interval(1 - math.exp(effect + reach), 1 - math.exp(effect - reach)),
        pvalue=2 * float(stdtr(df, -abs(effect / error))),
        degrees_of_freedom=float(df),
        random_slope=random_slope,
        n_units=n_units,
    )


def _best_fit(groups: Groups) -> tuple[_Fit, bool]:
    """The fit with the interaction, or the fit without it if that is as likely; and whether it has the interaction.

    On the boundary, an interaction without variance, the optimiser stops short of convergence; the likelihood then
    decides. A fit that is more likely but has not converged is not used, and no other takes its role.
    """
    plain = _fit(groups, None)
    if plain.failure is not None:
        return plain, False
    full = _fit(groups, plain)
    return (plain, False) if full.likelihood <= plain.likelihood + _GAIN else (full, True)


def _fit(groups: Groups, plain: _Fit | None) -> _Fit:
    """The fit without the interaction; or, started from that one (`plain`), the fit with it."""
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams  # pyright: ignore

    parameters: Any = MixedLMParams  # statsmodels ships no types

    y, x, task = _design(groups)
    random = x[:, :1] if plain is None else x
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model: Any = MixedLM(y, x, groups=task, exog_re=random)
            # Off-diagonal zero: random effects independent of each other. Powell's method does not keep to it.
            free: Any = parameters.from_components(fe_params=np.ones(2), cov_re=np.eye(random.shape[1]))
            # Started far from the spread between tasks, the optimiser runs past a small interaction to the boundary.
            start: Any = plain and parameters.from_components(
                fe_params=plain.effects, cov_re=np.diag([plain.between_tasks, _START])
            )
            found: Any = model.fit(reml=True, free=free, start_params=start, method=["bfgs"])
        except (np.linalg.LinAlgError, ValueError) as error:
            return _Fit(
                np.zeros(2), np.zeros((2, 2)), math.nan, math.inf, f"the mixed model could not be fitted: {error}"
            )
    effects, random_covariance = (np.asarray(v, dtype=np.float64) for v in (found.fe_params, found.cov_re))
    likelihood, scale = float(found.llf), float(found.scale)
    failure = None
    finite_fit = bool(np.isfinite([*effects, *random_covariance.ravel(), likelihood, scale]).all())
    if finite_fit and random_covariance[0, 0] <= _SINGULAR * scale:
        failure = "the mixed model is singular: drift does not vary between tasks beyond what seeds do"
    elif not finite_fit or not found.converged:
        said = "; ".join(dict.fromkeys(str(warning.message) for warning in caught))
        failure = f"the mixed model did not converge{': ' + said if said else ''}"
    covariance = _covariance(x, random, task, random_covariance, scale)
    return _Fit(effects, covariance, float(random_covariance[0, 0]) / scale, likelihood, failure)


def _design(groups: Groups) -> tuple[Floats, Floats, Floats]:
    """Returns the values (n,), the fixed effects (n, 2): intercept and method, and the task of each value (n,)."""
    y = np.concatenate([x for group in groups for x in group])
    method = np.concatenate(
        [np.full(x.size, sign) for group in groups for sign, x in zip((-0.5, 0.5), group, strict=True)]
    )
    task = np.repeat(np.arange(len(groups), dtype=np.float64), [ref.size + comp.size for ref, comp in groups])
    return y, np.column_stack([np.ones_like(y), method]), task


def _covariance(x: Floats, random: Floats, task: Floats, random_covariance: Floats, scale: float) -> Floats:
    """The covariance of the fixed effects, (2, 2), at the fitted variances: (X' V^-1 X)^-1.

    The Hessian of all parameters would not exist where a variance lies near its boundary.
    """
    information = np.zeros((2, 2))
    for name in np.unique(task):
        here = task == name
        variance = scale * np.eye(int(here.sum())) + random[here] @ random_covariance @ random[here].T
        information += x[here].T @ np.linalg.solve(variance, x[here])
    return np.asarray(np.linalg.inv(information), dtype=np.float64)
