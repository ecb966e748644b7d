"""Measures of tuned models at sites other than the residual stream, from pooled rows: the same as for layers, site by site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from torch import Tensor

from repdrift.comparison.massive_features import with_standardised
from repdrift.comparison.measured import Measured
from repdrift.comparison.row_measures import RowMeasures, Rows
from repdrift.comparison.site_rows import PlacedRows
from repdrift.core.errors import DegenerateInputError
from repdrift.core.group_words import is_grouped, no_interval_because
from repdrift.core.records.comparison import LayerDrift
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.records.site_drift import AdapterSize, AttentionOrMlp
from repdrift.core.site_words import site_title
from repdrift.drift.resampled_drift import delete_group_drifts
from repdrift.drift.sample_intervals import SamplingOptions, draws_of
from repdrift.drift.site_difference import DrawnDifference, site_difference
from repdrift.drift.site_measurement import SITE_CHANGE
from repdrift.drift.site_sets import ADAPTER_SITE
from repdrift.similarity import Representation, measure

_BOTH = ("attn_out", "mlp_out")
NO_BASE_BRANCH = (
    "the base model has no such branch, so that there is no drift; given is its size relative to the residual stream"
)


@dataclass
class SiteMeasures:
    """Measures models site by site and fills what it finds into `measured`. by_site: one for each site that the base model has.

    groups: as `RowMeasures` takes them.
    """

    measured: Measured
    by_site: dict[str, RowMeasures] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        base: PlacedRows,
        names: Sequence[str],
        measured: Measured,
        *,
        intervals: bool,
        groups: Sequence[str] | None,
        unit: str,
    ) -> SiteMeasures:
        """Prepares the base model's sites. A site at which all samples have the same representation is left out, with the reason."""
        found = cls(measured)
        measured.sites_left_out |= dict(base.left_out)
        measured.sites_left_out.pop(ADAPTER_SITE, None)  # said of each tuned model
        for site, rows in base.sites.items():
            try:
                found.by_site[site] = RowMeasures(
                    rows,
                    (*dict.fromkeys((*with_standardised(names, rows), SITE_CHANGE)),),
                    intervals=intervals,
                    groups=groups,
                    unit=unit,
                )
            except DegenerateInputError as error:
                measured.sites_left_out[site] = f"base model: {error}"
        return found

    def measure(self, name: str, rows: PlacedRows, *, asked: Sequence[str]) -> None:
        """Measures one model at every site that base and tuned model have; the rest is left out, with the reason."""
        measured, found = self.measured, {}
        left_out = {site: reason for site, reason in rows.left_out.items() if site not in measured.sites_left_out}
        for site, measures in self.by_site.items():
            tuned = rows.sites.get(site)
            if tuned is None:
                left_out.setdefault(site, "it was not found in this model")
            elif tuned.keys() != measures.base.keys():
                left_out[site] = "this model has it at other layers than the base model"
            else:
                try:
                    found[site] = measures.measure(name, tuned)
                except DegenerateInputError as error:
                    left_out[site] = str(error)
        if ADAPTER_SITE in asked:
            sizes = _adapter_sizes(name, rows)
            measured.adapter_sizes[name] = sizes
            if sizes:
                left_out[ADAPTER_SITE] = NO_BASE_BRANCH
        measured.sites[name], measured.model_sites_left_out[name] = found, left_out
        for site, measures in self.by_site.items():
            for (model, of_measure), reasons in measures.undefined.items():
                measured.undefined[model, f"{of_measure} of the {site_title(site)}"] = reasons
        if all(site in found for site in _BOTH):
            self._compare(name)

    def base_layers(self, again: PlacedRows | None, part: Tensor, exact: PlacedRows | None = None) -> None:
        """Describes the base model at every site, with its noise floor; takes what `RowMeasures.base_layers` takes."""
        for site, measures in self.by_site.items():
            second, single = _rows_of(again, site, measures), _rows_of(exact, site, measures)
            try:
                found = measures.base_layers(second, part, single)
            except DegenerateInputError as error:
                self.measured.notes.append(f"The noise floor of the {site_title(site)} is missing: {error}.")
                found = measures.base_layers(None, part)
            self.measured.base_sites[site] = found

    def with_control(
        self, names: Sequence[str], control: Literal["random_change", "rounding"], changed: PlacedRows, part: Tensor
    ) -> None:
        """Adds the drift of the base model with changed weights at every site of these models; a site without it gets a note."""
        for name in names:
            for site, layers in self.measured.sites.get(name, {}).items():
                measures = self.by_site[site]
                rows = _rows_of(changed, site, measures)
                words = control.replace("_", " ")
                if rows is None:
                    reason = changed.left_out.get(site, "the changed base model does not have it at these layers")
                    self.measured.note(
                        name, [f"The control of {words} is missing at the {site_title(site)}: {reason}."]
                    )
                    continue
                try:
                    if control == "rounding":
                        found = measures.with_rounding(name, layers, rows, part)
                    else:
                        found = measures.with_control(layers, control, rows, part)
                except DegenerateInputError as error:
                    self.measured.note(name, [f"The control of {words} is missing at the {site_title(site)}: {error}."])
                else:
                    self.measured.sites[name][site] = found

    def _compare(self, name: str) -> None:
        """Compares attention and MLP of one model, over the layers that have both."""
        layers = sorted(set.intersection(*(set(self.by_site[site].base) for site in _BOTH)))
        found = compared_sites(name, self.measured.sites[name], self._drawn(name, layers), self._no_draws())
        if found is not None:
            self.measured.attention_or_mlp[name] = found

    def _no_draws(self) -> str:
        """The reason, as a clause, why samples were not drawn anew."""
        measures = self.by_site["attn_out"]
        if not measures.intervals:
            return "tokens of one text are not independent"
        return no_interval_because(measures.groups, measures.unit) or "samples are too few, or nothing drifts"

    def _drawn(self, name: str, layers: Sequence[int]) -> list[DrawnDifference]:
        """The difference of the two sites' mean drifts without each sample, or group of them; nothing where rows have no intervals."""
        attention, mlp = (self.by_site[site] for site in _BOTH)
        if not attention.intervals or not layers:
            return []
        first = attention.base[layers[0]]
        n, groups = int(first.shape[0]), attention.groups
        groups = groups if groups is not None and is_grouped(groups) else None
        draws = draws_of(n, groups, PRIMARY_MEASURE, SamplingOptions(replicates=0), unit=attention.unit)
        primary = measure(PRIMARY_MEASURE)
        total: dict[int, np.ndarray] = {}
        for k, measures in enumerate((attention, mlp)):
            for layer in layers:
                one, two = Representation(measures.base[layer]), Representation(measures.tuned[name][layer])
                without = delete_group_drifts(
                    primary, primary.prepare(one), [primary.prepare(two)], draws, (one, [two])
                )
                if without is None:
                    return []
                total[k] = without[0] / len(layers) + total.get(k, 0.0)
        units = draws.units
        return [DrawnDifference(None, total[0] - total[1], replace(units, corrected=primary.debiased))]


def compared_sites(
    name: str, sites: Mapping[str, Sequence[LayerDrift]], drawn: Sequence[DrawnDifference], no_draws: str
) -> AttentionOrMlp | None:
    """Compares attention and MLP of one model over the layers that have both; None if a site, or a common layer, is missing.

    sites: drift by site. drawn: their difference with samples drawn anew; without it, `no_draws` says why, as a clause.
    """
    if any(site not in sites for site in _BOTH):
        return None
    found = {site: {at.layer: at for at in sites[site]} for site in _BOTH}
    layers = sorted(set.intersection(*(set(at_site) for at_site in found.values())))
    if not layers:
        return None
    means = {site: _mean([found[site][layer].drift for layer in layers]) for site in _BOTH}
    changes = {site: mean_change([found[site][layer] for layer in layers]) for site in _BOTH}
    options = SamplingOptions(replicates=0)
    result = site_difference(name, layers, [means["attn_out"]], [means["mlp_out"]], ["all"], drawn, options)
    update = {"attention_change": changes["attn_out"], "mlp_change": changes["mlp_out"]}
    return result.model_copy(update={**update, "not_tested": None if result.pvalue is not None else no_draws})


def mean_change(layers: Sequence[LayerDrift]) -> float | None:
    """Returns the mean relative change over layers; None if a layer has none."""
    values = [at.values.get(SITE_CHANGE) for at in layers]
    known = [value for value in values if value is not None]
    return _mean(known) if known and len(known) == len(values) else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rows_of(rows: PlacedRows | None, site: str, measures: RowMeasures) -> Rows | None:
    found = None if rows is None else rows.sites.get(site)
    return found if found is not None and found.keys() >= measures.base.keys() else None


def _adapter_sizes(name: str, rows: PlacedRows) -> list[AdapterSize]:
    """Returns ||adapter_out||_F / ||resid_post||_F of one model at every layer that has a branch."""
    found: list[AdapterSize] = []
    branches: Mapping[int, Tensor] = rows.sites.get(ADAPTER_SITE, {})
    for layer, branch in branches.items():
        stream = float(rows.stream[layer].double().norm()) if layer in rows.stream else 0.0
        if stream > 0:
            found.append(AdapterSize(method=name, layer=layer, relative_size=float(branch.double().norm()) / stream))
    return found
