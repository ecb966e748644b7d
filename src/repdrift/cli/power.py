"""repdrift power: how many seeds and samples a study needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.core.errors import ConfigError, DataError
from repdrift.core.progress import say

if TYPE_CHECKING:
    from repdrift.report.report_data import ReportData

_MAX_T = "max-t"
_STEPS = (0.1, 0.2, 0.3)
"""Above the margin: the true reductions that are planned for where none is named."""


def power(
    results: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RESULTS]",
            help="Results of a pilot: the file that `repdrift analyze` wrote, or its folder.",
            show_default="results/drift_analysis/drift_analysis_results.json",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="Instead of a pilot: a study file, or the name of a packaged study. Says what its design can reach, no more.",
            show_default=False,
        ),
    ] = None,
    reduction: Annotated[
        list[float] | None,
        typer.Option(
            help="The true reduction to be found, such as 0.3; may be repeated.",
            show_default="10, 20 and 30 points above the margin",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="The claim is a reduction above this; 0: that it drifts less at all.",
            show_default="the pilot's target, mostly 0.2",
        ),
    ] = None,
    target_power: Annotated[
        float | None, typer.Option("--power", help="Share of studies that should find it.", show_default="0.8")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.5, help="Level of the test.", show_default="the pilot's, mostly 0.05"),
    ] = None,
    task: o.Task = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Plan for tests by layer, over the tasks together: a number of layers, or `all`, corrected by Holm; `max-t` "
            "for what the max-T test can at most do.",
            show_default="the mean over layers",
        ),
    ] = None,
    max_seeds: Annotated[int, typer.Option(min=2, max=100, help="Most seeds per method and task to try.")] = 12,
    half_width: Annotated[
        float | None,
        typer.Option(
            help="Half-width wanted of the intervals over samples, as a drift such as 0.01.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """Say how many seeds and samples a study needs, from the results of a pilot, before it is trained.

    Prints what the pilot's design can reach, its power, the seeds per method and task that are enough, and what was
    assumed. With --config, and no pilot, it prints the smallest p-values that the study's design can reach. docs/power.md
    explains the words.

    Example: repdrift power results/drift_analysis --reduction 0.3 --half-width 0.01

    Example: repdrift power --config studies/demo.yaml
    """
    from repdrift.planning import plan_text as text

    if config is not None:
        _refuse(results=results, reduction=reduction, margin=margin, power=target_power, half_width=half_width)
        found = _reach(config, task, alpha, layers)
        typer.echo(json.dumps(found, indent=2) if as_json else text.reach_text(found))
        return
    data = _pilot_data(results)
    found = _plans(
        data,
        task=task,
        reductions=reduction,
        margin=margin,
        target=0.8 if target_power is None else target_power,
        alpha=alpha,
        layers=layers,
        max_seeds=max_seeds,
        half_width=half_width,
        seed=seed,
    )
    typer.echo(json.dumps(found, indent=2) if as_json else text.plans_text(found))


def _refuse(**given: object) -> None:
    named = [name for name, value in given.items() if value is not None]
    if named:
        words = ", ".join("RESULTS" if name == "results" else "--" + name.replace("_", "-") for name in named)
        raise ConfigError(
            f"--config says what a design can reach, without a pilot; {words} plans from a pilot's results. Give one of the two"
        )


def _pilot_data(results: Path | None) -> ReportData:
    from repdrift.core.records.results import RESULTS_FILE
    from repdrift.report.report_data import read_report_data
    from repdrift.study.runs import ANALYSIS_FOLDER

    file = Path("results") / ANALYSIS_FOLDER / RESULTS_FILE if results is None else results
    if file.is_dir():
        file = file / RESULTS_FILE
    if results is None and not file.exists():
        raise ConfigError(
            f"no pilot results at {file}. Name the results of another study (repdrift power RESULTS), or ask what a design "
            "can reach without any: repdrift power --config STUDY"
        )
    return read_report_data(file)


def _reach(config: str, tasks: list[str] | None, alpha: float | None, layers: str | None) -> dict[str, Any]:
    """What a study's design can reach, for JSON and for `reach_text`."""
    from repdrift.planning.reach import design_reach
    from repdrift.study.design_notes import layer_count
    from repdrift.study.runs import planned_runs

    study, _ = o.study_from(config)
    runs = planned_runs(study, tasks=tasks)
    names = list(dict.fromkeys(run.task for run in runs))
    level = study.analysis.alpha if alpha is None else alpha
    known = layer_count(study)
    n_tests = known if layers is None else _tests(layers, known)
    reaches = {n: design_reach(len(names), n, alpha=level, n_layers=n_tests) for n in {len(study.seeds), *range(1, 9)}}
    return {
        "study": study.name,
        "tasks": names,
        "methods": list(study.methods),
        "seeds": len(study.seeds),
        "alpha": level,
        "n_layers": n_tests,
        "reach": [{**asdict(r), "reachable": r.reachable, "only_just": r.only_just} for r in reaches[len(study.seeds)]],
        "smallest_pvalue_by_seeds": {
            str(n): {r.scope: r.smallest_pvalue for r in found} for n, found in sorted(reaches.items())
        },
    }


def _tests(layers: str, known: int | None) -> int:
    """How many tests are corrected together."""
    if layers == _MAX_T:
        return 1
    if layers == "all":
        if known is None:
            raise ConfigError(
                "--layers all: the number of layers is not known before the model is here; give it as a number"
            )
        return known
    if not layers.isdecimal() or int(layers) < 1:
        raise ConfigError(f"--layers should be a number of layers of at least 1, `all` or `{_MAX_T}`; got {layers!r}")
    return int(layers)


def _plans(
    data: ReportData,
    *,
    task: list[str] | None,
    reductions: list[float] | None,
    margin: float | None,
    target: float,
    alpha: float | None,
    layers: str | None,
    max_seeds: int,
    half_width: float | None,
    seed: int,
) -> dict[str, Any]:
    """Everything that the pilot says, for JSON and for `plans_text`."""
    from repdrift.planning.pilot import layer_pilots, pilots
    from repdrift.planning.plan_text import scope_title
    from repdrift.planning.sample_plan import sample_plans
    from repdrift.planning.seed_plan import SeedPlan, seed_plan

    results = data.results
    study = results.study
    level = study.alpha if alpha is None else alpha
    claim = study.target_reduction if margin is None else margin
    wanted = reductions or [round(claim + step, 6) for step in _STEPS if claim + step < 1]
    if not wanted:
        raise ConfigError(f"no reduction lies 10 points above the margin {claim:g}: name one with --reduction")
    samples = sample_plans(results, data.table, task, target=half_width)
    n_tests = 1 if layers is None else _tests(layers, study.n_layers)
    notes: list[str] = []
    if layers is None:
        found = pilots(results, task)
    else:
        found, notes = layer_pilots(results, task)
    usable = [pilot for pilot in found if pilot.missing is None]
    notes += [
        f"Nothing can be planned for {scope_title(pilot.where)}: {pilot.missing}." for pilot in found if pilot.missing
    ]
    notes += [
        f"Without a drift, so left out: {model}." for model in dict.fromkeys(m for p in usable for m in p.left_out)
    ]
    if not usable:
        reasons = list(dict.fromkeys(str(pilot.missing) for pilot in found))
        more = f" (and {len(reasons) - 1} more like this)" if len(reasons) > 1 else ""
        raise DataError(
            f"nothing can be planned from this pilot: {reasons[0]}{more}. Train at least two seeds of each method and analyze again; "
            "repdrift power --config STUDY says what a design can reach without a pilot"
        )
    plans: list[SeedPlan] = []
    for number, pilot in enumerate(usable, start=1):
        say(f"[{number}/{len(usable)}] simulating studies of {scope_title(pilot.where)}")
        plans.append(
            seed_plan(
                pilot,
                reductions=wanted,
                margin=claim,
                alpha=level,
                target=target,
                n_tests=n_tests,
                max_seeds=max_seeds,
                seed=seed,
            )
        )
    return {
        "study": study.name,
        "model": study.model,
        "reference_method": study.reference_method,
        "comparison_method": study.comparison_method,
        "primary_measure": study.primary_measure,
        "margin": claim,
        "alpha": level,
        "power": target,
        "layers": layers,
        "n_tests": n_tests,
        "max_seeds": max_seeds,
        "reductions": wanted,
        "half_width": half_width,
        "seed_plans": [{**asdict(plan), "seeds_now": plan.pilot.seeds, "sizes": plan.pilot.sizes} for plan in plans],
        "sample_plans": [asdict(plan) for plan in samples],
        "notes": notes,
    }
