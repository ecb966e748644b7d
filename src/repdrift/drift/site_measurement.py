"""Measuring drift at sites other than the residual stream: one site at one layer at a time, with every measure and control."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from repdrift.core.errors import DegenerateInputError
from repdrift.core.memory import give_back
from repdrift.core.progress import Bar
from repdrift.core.records.results import DRIFT_COLUMNS
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.records.study_info import Control
from repdrift.core.site_words import MASSIVE_SHARE, site_title
from repdrift.core.words import layers_named, some_listed, task_title
from repdrift.drift.chosen_measures import Reasons, why
from repdrift.drift.control_conditions import mispairings
from repdrift.drift.layer_measurement import Measured, MeasuredTask, layer_size, measure_layer, read_place
from repdrift.drift.measurement import top_feature_share
from repdrift.drift.memory_need import KEPT_BYTES
from repdrift.drift.resampled_drift import ResampledDrifts
from repdrift.drift.sample_intervals import Draws, SamplingOptions, draws_for
from repdrift.drift.site_sets import ADAPTER_SITE, SiteSets, asked_sites, layers_with, site_sets
from repdrift.drift.task_sets import OpenedSet, TaskSets, read_finite
from repdrift.similarity import measure

SITE_CHANGE = "relative_change"
"""The measure that is taken at every site beside the study's own: the size of the change, which CKA does not see."""
RELATIVE_SIZE = "relative_size"
"""The measure of an adapter's own branch in the tidy table: its size relative to the residual stream. It has no drift."""


@dataclass
class MeasuredSites:
    """Rows of the tidy table and controls of sites other than the residual stream, and what the conclusions need beside them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    draws: dict[tuple[str, str], ResampledDrifts] = field(default_factory=dict)
    """By task and site: drifts of the final models by the primary measure when samples are drawn anew."""
    found: dict[str, list[str]] = field(default_factory=dict)
    """By task: the sites with a drift; tasks of which no other site was asked for are left out."""
    not_found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By task and site: the reason why the site has no drift."""
    massive: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """By task and site: the layers at which one feature holds over half of the base model's variance."""
    notes: dict[str, list[str]] = field(default_factory=dict)
    """By task: sentences on runs, layers and controls that are missing at a site."""


def measure_sites(
    tasks: Sequence[TaskSets],
    names: Sequence[str],
    primary: str,
    options: SamplingOptions,
    *,
    grouped: Collection[str] = (),
) -> MeasuredSites:
    """Measure every run at every site but the residual stream that its task's sets hold; empty if they hold no other.

    `SITE_CHANGE` is taken at every site, the residual stream included. A site that a set lacks is in `not_found` or `notes`
    with the reason, and so is a layer at which the primary measure is undefined. Raises NonFiniteError and CorruptSetError
    naming set and place.
    """
    measured = MeasuredSites()
    places = {
        sets.task: [site_sets(sets, site) for site in asked_sites(sets) if site != ADAPTER_SITE] for sets in tasks
    }
    steps = sum(len(of.layers) for each in places.values() for of in each if isinstance(of, SiteSets))
    if not any(asked_sites(sets) for sets in tasks):
        return measured
    with Bar("measuring drift inside the blocks", steps) as bar:
        for sets in tasks:
            sites = [site for site in asked_sites(sets) if site != ADAPTER_SITE]
            draws = draws_for(sets.base.metadata, options, grouped=sets.task in grouped)
            measured.found[sets.task], measured.not_found[sets.task] = [], {}
            for site, of in zip(sites, places[sets.task], strict=True):
                if isinstance(of, str):
                    measured.not_found[sets.task][site] = of
                    continue
                measured.notes.setdefault(sets.task, []).extend(of.notes)
                _measure_site(measured, of, [*dict.fromkeys((*names, SITE_CHANGE))], primary, options, draws, bar)
            if measured.found[sets.task] and SITE_CHANGE not in names:
                _measure_stream(measured, sets, options, draws)
            if ADAPTER_SITE in asked_sites(sets):
                _measure_adapters(measured, sets)
    return measured


def missing_sites(measured: MeasuredSites) -> list[str]:
    """Returns sentences on the sites, runs and controls that are missing; each reason once, with the tasks that it holds for."""
    absent: dict[tuple[str, str], list[str]] = {}
    for task, reasons in measured.not_found.items():
        for site, reason in reasons.items():
            absent.setdefault((site, reason), []).append(task_title(task))
    found = [
        f"There is no drift of the {site_title(site)} on {some_listed(tasks, most=3)}: {reason}."
        for (site, reason), tasks in absent.items()
    ]
    return [*found, *(note for notes in measured.notes.values() for note in notes)]


def _measure_site(
    measured: MeasuredSites,
    of: SiteSets,
    names: Sequence[str],
    primary: str,
    options: SamplingOptions,
    draws: Draws,
    bar: Bar,
) -> None:
    sets = of.sets
    task = MeasuredTask(sets, mispairings(sets.base.metadata.shape[0]), draws, options, layer_size(sets, options))
    shared = task.size.shared_bytes(names) <= KEPT_BYTES
    kept = ResampledDrifts(list(task.final_models), [], task.units(measure(primary)))
    undefined: dict[str, Reasons] = {}
    for layer in of.layers:
        try:
            read = read_place(task, SiteLayer(of.site, layer), shared=shared)
        except DegenerateInputError as error:
            undefined.setdefault(primary, {})[layer] = str(error)
            bar.advance()
            continue
        if top_feature_share(read.representations[sets.base.folder].exact.numpy()) > MASSIVE_SHARE:
            measured.massive.setdefault((sets.task, of.site), []).append(layer)
        for name in names:
            of_place = Measured()
            try:
                measure_layer(of_place, read, measure(name), keep_distances=False)
            except DegenerateInputError as error:
                undefined.setdefault(name, {})[layer] = why(error)
                continue
            measured.rows += of_place.rows
            measured.controls += of_place.controls
            if name == primary:
                drawn = of_place.draws[sets.task, primary]
                kept.layers.append(layer)
                kept.bootstrap |= drawn.bootstrap
                kept.delete_group |= drawn.delete_group
        del read
        bar.advance()
        give_back()
    measured.notes.setdefault(sets.task, []).extend(
        f"Task {task_title(sets.task)}, {site_title(of.site)}: {name} has no value in {layers_named(list(reasons))}: "
        f"{next(iter(reasons.values())).rstrip('.')}."
        for name, reasons in undefined.items()
    )
    if kept.layers:
        measured.found[sets.task].append(of.site)
        measured.draws[sets.task, of.site] = kept
    else:
        measured.not_found[sets.task][of.site] = next(iter(undefined[primary].values())).rstrip(".")


def _measure_stream(measured: MeasuredSites, sets: TaskSets, options: SamplingOptions, draws: Draws) -> None:
    """Adds the relative change of the residual stream, to be set beside those of the other sites."""
    task = MeasuredTask(sets, mispairings(sets.base.metadata.shape[0]), draws, options, layer_size(sets, options))
    for layer in sets.base.layers:
        of_place = Measured()
        try:
            read = read_place(task, SiteLayer(RESID_POST, layer), shared=False)
            measure_layer(of_place, read, measure(SITE_CHANGE), keep_distances=False)
        except DegenerateInputError:
            continue  # the base model's rows are all zero: there is nothing that the change is a share of
        measured.rows += of_place.rows


def _measure_adapters(measured: MeasuredSites, sets: TaskSets) -> None:
    """Adds the size of each run's adapter branch relative to the residual stream of the same model, by layer."""
    measured.not_found[sets.task][ADAPTER_SITE] = (
        "the base model has no such branch, so that there is nothing to compare with; given is its size relative to the residual stream"
    )
    if not any(layers_with(run.stored.metadata, ADAPTER_SITE) for run in sets.runs):
        first = sets.runs[0].stored.metadata.sites_left_out.get(ADAPTER_SITE) if sets.runs else None
        measured.not_found[sets.task][ADAPTER_SITE] = first or "no run has such a branch"
        return
    empty: dict[str, Any] = {**dict.fromkeys(DRIFT_COLUMNS, np.nan), "n": pd.NA, "above_noise": pd.NA, "interval": None}
    for run in sets.runs:
        for layer in layers_with(run.stored.metadata, ADAPTER_SITE):
            if layer not in run.stored.layers:
                continue
            size = relative_size(run, layer)
            if size is not None:
                plan = run.plan
                named = {"task": plan.task, "method": plan.method, "seed": plan.seed, "step": plan.step}
                place = {"site": ADAPTER_SITE, "layer": layer, "measure": RELATIVE_SIZE, "value": size}
                measured.rows.append({**empty, **named, **place})


def relative_size(run: OpenedSet, layer: int) -> float | None:
    """Returns ||adapter_out||_F / ||resid_post||_F of one run at a layer; None if the residual stream is all zero there."""
    branch, stream = (
        float(np.linalg.norm(read_finite(run.stored, SiteLayer(site, layer)).double().numpy()))
        for site in (ADAPTER_SITE, RESID_POST)
    )
    return branch / stream if stream > 0 else None
