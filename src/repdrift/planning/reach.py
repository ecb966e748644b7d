"""The reach of a design before anything is trained: the smallest p-values that its numbers of trained models allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from repdrift.core.words import counted, method_title, pvalue, task_title
from repdrift.planning.seed_plan import least_models
from repdrift.statistics import smallest_reachable_pvalue

Scope = Literal["task", "tasks", "layers"]
REL_TOLERANCE = 1e-12
"""P-values and levels whose relative difference is smaller than this differ by rounding alone, and count as equal."""


@dataclass(frozen=True)
class Reach:
    """The smallest p-value of one kind of test, in a design with equal numbers of models of both methods in every task.

    scope: `task` is one task by itself. `tasks` is all of them together, stratified by task. `layers` is each layer over all
    tasks, corrected by Holm for `n_tests` layers. (The analysis corrects by max-T, which can reach the same p as
    `tasks`. If a model is missing, the numbers of models differ, and it corrects by Holm.) All are corrected by Holm for
    `n_arms` methods that are compared with the reference.
    smallest_pvalue: one-sided, after correction, at most 1. enough: the smallest number of models of each method in each task
    that can be significant. enough_pvalue: the smallest p of so many models, after correction. roomy: one more model than
    `enough` where that reaches alpha exactly, else `enough`. roomy_pvalue: the smallest p of so many models.
    """

    scope: Scope
    n_tasks: int
    n_models: int
    n_tests: int
    alpha: float
    smallest_pvalue: float
    enough: int
    enough_pvalue: float
    roomy: int
    roomy_pvalue: float
    n_arms: int = 1

    @property
    def reachable(self) -> bool:
        """True if some data would be significant (p at most alpha)."""
        return self.smallest_pvalue <= self.alpha * (1 + REL_TOLERANCE)

    @property
    def only_just(self) -> bool:
        """True if the smallest p equals alpha: only the most extreme outcome is significant."""
        return self.reachable and self.smallest_pvalue >= self.alpha * (1 - REL_TOLERANCE)


def design_reach(
    n_tasks: int, n_models: int, *, alpha: float, n_layers: int | None = None, n_arms: int = 1
) -> list[Reach]:
    """Returns the reach in a single task, over all tasks if there are several, and by layer if `n_layers` is given.

    n_models: models (seeds) of each method in each task. n_arms: methods compared with the reference. Raises ConfigError for alpha outside (0, 1) or n_layers < 1,
    ShapeError for no task or no model.
    """
    found = [_reach("task", 1, n_models, 1, alpha, n_arms)]
    if n_tasks > 1:
        found.append(_reach("tasks", n_tasks, n_models, 1, alpha, n_arms))
    if n_layers is not None:
        found.append(_reach("layers", n_tasks, n_models, n_layers, alpha, n_arms))
    return found


@dataclass(frozen=True)
class StudyReach:
    """The reach of a study's design, and of the same design with other numbers of seeds.

    n_seeds: trained models of each method in each task. n_layers: None if the number of layers is not known. n_arms: methods
    compared with the reference. by_seeds: the reach of a design by its number of seeds, this study's among them.
    """

    study: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    n_seeds: int
    alpha: float
    n_layers: int | None
    by_seeds: dict[int, list[Reach]]
    n_arms: int = 1

    @property
    def reach(self) -> list[Reach]:
        """The reach of the study's own design."""
        return self.by_seeds[self.n_seeds]

    def to_json(self) -> dict[str, Any]:
        """Returns the reach as `repdrift power --config --json` prints it."""
        return {
            "study": self.study,
            "tasks": list(self.tasks),
            "methods": list(self.methods),
            "seeds": self.n_seeds,
            "arms": self.n_arms,
            "alpha": self.alpha,
            "n_layers": self.n_layers,
            "reach": [{**asdict(r), "reachable": r.reachable, "only_just": r.only_just} for r in self.reach],
            "smallest_pvalue_by_seeds": {
                str(n): {r.scope: r.smallest_pvalue for r in reaches} for n, reaches in self.by_seeds.items()
            },
        }


def study_reach(
    study: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    n_seeds: int,
    *,
    alpha: float,
    n_layers: int | None,
    n_arms: int = 1,
) -> StudyReach:
    """Returns what a study can reach with its own number of seeds and with 1 to 8. Raises as `design_reach` does.

    n_arms: methods that are compared with the reference.
    """
    numbers = sorted({n_seeds, *range(1, 9)})
    by_seeds = {n: design_reach(len(tasks), n, alpha=alpha, n_layers=n_layers, n_arms=n_arms) for n in numbers}
    return StudyReach(study, tuple(tasks), tuple(methods), n_seeds, alpha, n_layers, by_seeds, n_arms)


def reach_notes(
    tasks: Sequence[str],
    n_seeds: int,
    *,
    reference: str,
    comparisons: Sequence[str],
    alpha: float,
    n_layers: int | None,
) -> list[str]:
    """Returns at most five sentences on which claims can become significant, and how many seeds are enough.

    tasks: names of the tasks. n_seeds: trained models of each method in each task. n_layers: None if it is not known;
    nothing is then said about single layers. reference: the method that the `comparisons` are compared with, by name.
    """
    reaches = design_reach(len(tasks), n_seeds, alpha=alpha, n_layers=n_layers, n_arms=len(comparisons))
    comparison = f"{method_title(comparisons[0])} model" if len(comparisons) == 1 else "model of an arm"
    notes = [_in_reach([r for r in reaches if r.reachable and not r.only_just], tasks)]
    notes += [_only_just(r, tasks, reference, comparison) for r in reaches if r.only_just]
    notes += [_out_of_reach(r, tasks) for r in reaches if not r.reachable]
    if n_seeds == 1:
        notes.append(
            "with one seed nothing shows how far two models of one method differ: a second seed is the least that does"
        )
    elif any(r.only_just or not r.reachable for r in reaches):
        notes.append(
            "these limits are the same for the claims that the methods drift alike and that one drifts less by the target"
        )
    return [note for note in notes if note]


def _reach(scope: Scope, n_tasks: int, n_models: int, n_tests: int, alpha: float, n_arms: int) -> Reach:
    def least(n: int) -> float:
        return min(1.0, n_arms * n_tests * smallest_reachable_pvalue([(n, n)] * n_tasks))

    enough = least_models(n_tasks, alpha=alpha, n_tests=n_tests * n_arms)
    roomy = enough + 1 if least(enough) >= alpha * (1 - REL_TOLERANCE) else enough
    return Reach(
        scope=scope,
        n_tasks=n_tasks,
        n_models=n_models,
        n_tests=n_tests,
        alpha=alpha,
        smallest_pvalue=least(n_models),
        enough=enough,
        enough_pvalue=least(enough),
        roomy=roomy,
        roomy_pvalue=least(roomy),
        n_arms=n_arms,
    )


def _in_reach(reaches: Sequence[Reach], tasks: Sequence[str]) -> str:
    if not reaches:
        return ""
    said = " and ".join(f"{_where(r, tasks)} (smallest possible p {_smallest(r)})" for r in reaches)
    return f"{_seeds(reaches[0].n_models)} {_verb(reaches[0])} enough for p = {reaches[0].alpha:g} or less {said}{_over_arms(reaches[0])}"


def _only_just(reach: Reach, tasks: Sequence[str], reference: str, comparison: str) -> str:
    return (
        f"{_where(reach, tasks)} p = {reach.alpha:g} is reached only just: {_smallest(reach)} is the smallest possible p of "
        f"{_seeds(reach.n_models)}, and takes every {comparison} to drift less than every "
        f"{method_title(reference)} one; {reach.roomy} seeds leave room ({pvalue(reach.roomy_pvalue)})"
    )


def _out_of_reach(reach: Reach, tasks: Sequence[str]) -> str:
    enough = f"{reach.enough} seeds can ({pvalue(reach.enough_pvalue)})"
    if reach.roomy != reach.enough:
        enough = (
            f"{reach.enough} seeds just reach it ({pvalue(reach.enough_pvalue)}), "
            f"{reach.roomy} leave room ({pvalue(reach.roomy_pvalue)})"
        )
    uncorrected = min(1.0, reach.n_arms * smallest_reachable_pvalue([(reach.n_models, reach.n_models)] * reach.n_tasks))
    by = "max-T" if reach.n_arms == 1 else f"max-T, and by Holm for {reach.n_arms} arms"
    if reach.scope == "layers" and uncorrected <= reach.alpha * (1 + REL_TOLERANCE):
        return (
            f"{_where(reach, tasks)} the smallest possible p is {pvalue(uncorrected)} (corrected by {by}); should a model be "
            f"missing, the correction is Holm's, and nothing can be significant ({pvalue(reach.smallest_pvalue)}); {enough}"
        )
    return (
        f"{_where(reach, tasks)} nothing can be significant: the smallest possible p of {_seeds(reach.n_models)} is "
        f"{_smallest(reach)}, above {reach.alpha:g}{_over_arms(reach)}; {enough}"
    )


def _over_arms(reach: Reach) -> str:
    return f"; these p are corrected by Holm for {reach.n_arms} arms against one reference" if reach.n_arms > 1 else ""


def _where(reach: Reach, tasks: Sequence[str]) -> str:
    if reach.scope == "layers":
        over = f"on {task_title(tasks[0])}" if len(tasks) == 1 else "over all tasks"
        return f"in each of {reach.n_tests} layers {over}"
    if reach.scope == "tasks":
        return f"over all {len(tasks)} tasks together"
    return f"on {task_title(tasks[0])}" if len(tasks) == 1 else "in a single task"


def _smallest(reach: Reach) -> str:
    corrected = " after Holm's correction" if reach.n_tests > 1 else ""
    return pvalue(reach.smallest_pvalue) + corrected


def _verb(reach: Reach) -> str:
    return "is" if reach.n_models == 1 else "are"


def _seeds(number: int) -> str:
    return f"{counted(number, 'seed')} per method"
