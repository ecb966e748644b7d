"""The whole plan that a pilot gives: seeds and samples for the claims of a new study, as `repdrift power` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.learnt_words import judged_models, learnt_cautions
from repdrift.core.progress import say
from repdrift.core.records.results import DriftResults
from repdrift.core.words import method_title
from repdrift.planning.pilot import LayerPilots, Pilot, layer_pilots, pilots
from repdrift.planning.sample_plan import SamplePlan, sample_plans
from repdrift.planning.seed_plan import SeedPlan, seed_plan

MAX_T = "max-t"
EVERY_LAYER = "all"
_STEPS = (0.1, 0.2, 0.3)
"""The true reductions that are planned for where none is named, as steps above the margin."""


@dataclass(frozen=True)
class PlanRequest:
    """The study that is to be planned. None and () mean: as in the pilot's own study.

    reductions: true reductions to be found; (): 10, 20 and 30 points above the margin. margin: the claim is a reduction above
    it. power: share of studies that should find it. layers: None plans for the mean over layers, else see `number_of_tests`.
    max_seeds: most seeds of each method and task to try. half_width: the one wanted for intervals over samples, as a drift.
    seed: of the simulation.
    """

    tasks: Sequence[str] | None = None
    reductions: Sequence[float] = ()
    margin: float | None = None
    alpha: float | None = None
    power: float = 0.8
    layers: str | None = None
    max_seeds: int = 12
    half_width: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class PilotPlan:
    """The seeds and samples that a pilot asks for. cautions: sentences on models of the pilot that have not
    learnt their task. notes: sentences on what could not be planned.

    n_tests: tests by layer that are corrected together. n_arms: methods compared with the reference, for which is corrected too.
    """

    study: str
    model: str
    reference_method: str
    comparison_method: str
    primary_measure: str
    margin: float
    alpha: float
    power: float
    layers: str | None
    n_tests: int
    max_seeds: int
    reductions: tuple[float, ...]
    half_width: float | None
    seed_plans: tuple[SeedPlan, ...]
    sample_plans: tuple[SamplePlan, ...]
    cautions: tuple[str, ...]
    notes: tuple[str, ...]
    n_arms: int = 1
    comparison_methods: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as `repdrift power --json` prints it."""
        plans = [{**asdict(plan), "seeds_now": plan.pilot.seeds, "sizes": plan.pilot.sizes} for plan in self.seed_plans]
        return {**asdict(self), "seed_plans": plans}


def plan_from_pilot(results: DriftResults, table: pd.DataFrame, request: PlanRequest) -> PilotPlan:
    """Returns the seeds and samples that the results of a pilot ask for.

    table: the tidy table of `results`. Raises ConfigError for a request without a meaning, UnknownNameError for a task that
    the pilot lacks, DataError if nothing can be planned from the pilot.
    """
    study = results.study
    margin = study.target_reduction if request.margin is None else request.margin
    alpha = study.alpha if request.alpha is None else request.alpha
    reductions = tuple(request.reductions) or tuple(round(margin + step, 6) for step in _STEPS if margin + step < 1)
    if not reductions:
        raise ConfigError(f"no reduction lies 10 points above the margin {margin:g}: name one with --reduction")
    samples = sample_plans(results, table, request.tasks, target=request.half_width)
    n_tests = 1 if request.layers is None else number_of_tests(request.layers, study.n_layers)
    n_arms = max(1, len(study.contrasted))
    found = _pilots_of_arms(results, request)
    usable = _usable(found.pilots)
    plans: list[SeedPlan] = []
    for number, pilot in enumerate(usable, start=1):
        say(f"[{number}/{len(usable)}] simulating studies of {pilot.title}")
        plans.append(
            seed_plan(
                pilot,
                reductions=reductions,
                margin=margin,
                alpha=alpha,
                target=request.power,
                n_tests=n_tests * n_arms,
                max_seeds=request.max_seeds,
                seed=request.seed,
            )
        )
    return PilotPlan(
        study=study.name,
        model=study.model,
        reference_method=study.reference_method,
        comparison_method=study.comparison_method,
        primary_measure=study.primary_measure,
        margin=margin,
        alpha=alpha,
        power=request.power,
        layers=request.layers,
        n_tests=n_tests,
        max_seeds=request.max_seeds,
        reductions=reductions,
        half_width=request.half_width,
        seed_plans=tuple(plans),
        sample_plans=tuple(samples),
        cautions=tuple(_skill_cautions(results)),
        notes=tuple(found.notes + _notes(found.pilots, usable)),
        n_arms=n_arms,
        comparison_methods=tuple(study.contrasted),
    )


def _pilots_of_arms(results: DriftResults, request: PlanRequest) -> LayerPilots:
    """Returns the pilots of every method that is compared with the reference; each names its method if there are several."""
    contrasts = results.contrasts()
    found, notes, failed = [], [], []
    for contrast in contrasts:
        comparison = contrast.study.comparison_method if len(contrasts) > 1 else None
        try:
            of_arm = (
                LayerPilots(pilots(contrast, request.tasks), [])
                if request.layers is None
                else layer_pilots(contrast, request.tasks)
            )
        except DataError as error:
            failed.append(error)
            notes.append(f"Nothing can be planned for {method_title(contrast.study.comparison_method)}: {error}.")
            continue
        found += [replace(pilot, method=comparison) for pilot in of_arm.pilots]
        notes += (
            of_arm.notes if comparison is None else [f"{method_title(comparison)}: {note}" for note in of_arm.notes]
        )
    if len(failed) == len(contrasts):
        raise failed[0]
    return LayerPilots(found, notes)


def number_of_tests(layers: str, known: int | None) -> int:
    """Returns how many tests by layer are corrected together.

    layers: a number, `all` for every layer, or `max-t`, which counts as 1: max-T has at most the power of a single test.
    known: the model's number of layers; None if it is not known. Raises ConfigError for any other `layers`.
    """
    if layers == MAX_T:
        return 1
    if layers == EVERY_LAYER:
        if known is None:
            raise ConfigError(
                "--layers all: the number of layers is not known before the model is here; give it as a number"
            )
        return known
    if not layers.isdecimal() or int(layers) < 1:
        raise ConfigError(
            f"--layers should be a number of layers of at least 1, `{EVERY_LAYER}` or `{MAX_T}`; got {layers!r}"
        )
    return int(layers)


def _usable(found: Sequence[Pilot]) -> list[Pilot]:
    usable = [pilot for pilot in found if pilot.missing is None]
    if not usable:
        reasons = list(dict.fromkeys(str(pilot.missing) for pilot in found))
        more = f" (and {len(reasons) - 1} more like this)" if len(reasons) > 1 else ""
        raise DataError(
            f"nothing can be planned from this pilot: {reasons[0]}{more}. Train at least two seeds of each method and analyze again; "
            "repdrift power --config STUDY says what a design can reach without a pilot"
        )
    return usable


def _skill_cautions(results: DriftResults) -> list[str]:
    """Cautions on models of the pilot that have not learnt their task, or of which it is not known."""
    found = learnt_cautions(judged_models(results.runs))
    return [*found, "The plan takes the spread of these models for that of models that have learnt."] if found else []


def _notes(found: Sequence[Pilot], usable: Sequence[Pilot]) -> list[str]:
    absent = [f"Nothing can be planned for {pilot.title}: {pilot.missing}." for pilot in found if pilot.missing]
    left_out = dict.fromkeys(model for pilot in usable for model in pilot.left_out)
    return [*absent, *(f"Without a drift, so left out: {model}." for model in left_out)]
