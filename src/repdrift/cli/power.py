"""repdrift power: how many seeds and samples a study needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repdrift.cli import options as o
from repdrift.core.errors import ConfigError
from repdrift.core.progress import tell, tell_json

if TYPE_CHECKING:
    from repdrift.planning.reach import StudyReach
    from repdrift.report.report_data import ReportData


def power(
    results: Annotated[
        Path | None,
        typer.Argument(
            metavar="RESULTS",
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
    overrides: o.Overrides = None,
    reduction: Annotated[
        list[float] | None,
        typer.Option(
            help="The true reduction that the study should find, such as 0.3. The option may be repeated.",
            show_default="10, 20 and 30 points above the margin",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="The claim is a reduction above this share. 0 claims that it drifts less at all.",
            show_default="the pilot's target, mostly 0.2",
        ),
    ] = None,
    target_power: Annotated[
        float | None, typer.Option("--power", help="Share of such studies that should find it.", show_default="0.8")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            min=1e-6, max=0.5, help="Significance level of the test.", show_default="the pilot's, mostly 0.05"
        ),
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
    max_seeds: Annotated[
        int, typer.Option(min=2, max=100, help="Largest number of seeds per method and task to try.")
    ] = 12,
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
    assumed. With --config, and no pilot, it prints the smallest p-values that the study's design can reach. docs/howto/power.md
    explains the words.

    Example: repdrift power results/drift_analysis --reduction 0.3 --half-width 0.01

    Example: repdrift power --config studies/demo.yaml
    """
    from repdrift.planning.pilot_plan import PlanRequest, plan_from_pilot
    from repdrift.planning.plan_text import plan_text, reach_text

    if config is not None:
        _refuse(results=results, reduction=reduction, margin=margin, power=target_power, half_width=half_width)
        reach = _study_reach(config, overrides, task, alpha, layers)
        tell_json(reach.to_json()) if as_json else tell(reach_text(reach))
        return
    if overrides:
        raise ConfigError("--set changes a study, and a pilot's results are as they are; name the study with --config")
    data = _pilot_data(results)
    request = PlanRequest(
        tasks=task,
        reductions=reduction or (),
        margin=margin,
        alpha=alpha,
        power=0.8 if target_power is None else target_power,
        layers=layers,
        max_seeds=max_seeds,
        half_width=half_width,
        seed=seed,
    )
    plan = plan_from_pilot(data.results, data.table, request)
    tell_json(plan.to_json()) if as_json else tell(plan_text(plan))


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


def _study_reach(
    config: str, overrides: list[str] | None, tasks: list[str] | None, alpha: float | None, layers: str | None
) -> StudyReach:
    from repdrift.planning.pilot_plan import number_of_tests
    from repdrift.planning.reach import study_reach
    from repdrift.study.design_notes import layer_count
    from repdrift.study.runs import planned_runs

    study, _ = o.study_from(config, overrides=overrides)
    runs = planned_runs(study, tasks=tasks)
    known = layer_count(study)
    return study_reach(
        study.name,
        list(dict.fromkeys(run.task for run in runs)),
        study.method_names,
        len(study.seeds),
        alpha=study.analysis.alpha if alpha is None else alpha,
        n_layers=known if layers is None else number_of_tests(layers, known),
        n_arms=max(1, sum(name != study.reference for name in study.method_names)),
    )
