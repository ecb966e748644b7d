"""The text that `repdrift power` prints on a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from repdrift.core.words import chosen_percent, counted, listed, method_title, pvalue, task_title
from repdrift.planning.pilot_plan import PilotPlan
from repdrift.planning.reach import REL_TOLERANCE, Reach, StudyReach
from repdrift.planning.sample_plan import SamplePlan
from repdrift.planning.seed_plan import SeedPlan, SeedsNeeded

_WIDTH = 118


def reach_text(found: StudyReach) -> str:
    """Returns what the design of a study can reach, as lines of text."""
    n_tasks, n_layers = len(found.tasks), found.n_layers
    titles = {
        "task": "a single task" if n_tasks > 1 else task_title(found.tasks[0]),
        "tasks": f"all {n_tasks} tasks together",
    }
    if n_layers is not None:
        titles["layers"] = "each layer, by max-T" if n_layers == 1 else f"each of {n_layers} layers, by Holm"
    rows = [["", *(titles[reach.scope] for reach in found.reach)]]
    for n_seeds, reaches in found.by_seeds.items():
        here = " (this study)" if n_seeds == found.n_seeds else ""
        rows.append([f"{n_seeds} of each{here}", *(_judged(r.smallest_pvalue, found.alpha) for r in reaches)])
    lines = [
        *_prose(
            f"Study {found.study}: {counted(n_tasks, 'task')}, {counted(found.n_seeds, 'seed')} of each method in each. "
            f"{_arms_of(found)}Nothing was measured: this is what its numbers allow."
        ),
        "",
        f"Smallest possible p by seeds of each method and task (alpha {found.alpha:g}; one-sided; - is above alpha: out of reach)",
        *_columns(rows),
        "",
        *(line for reach in found.reach for line in _prose(f"{titles[reach.scope]}: {_verdict(reach)}.")),
    ]
    if n_layers is None:
        lines += _prose(
            "Layers: their number is not known before the model is here; --layers N corrects for N of them."
        )
    lines += _prose(
        "That p can be small does not mean that it will be. To learn how many seeds are likely to show a reduction, run a "
        "pilot (repdrift power RESULTS)."
    )
    return "\n".join(lines)


def _arms_of(found: StudyReach) -> str:
    if found.n_arms == 1:
        return ""
    return f"{found.n_arms} methods (arms) are compared with one reference, and every p is corrected for them by Holm. "


def plan_text(plan: PilotPlan) -> str:
    """Returns the seeds and samples that a pilot asks for, as lines of text."""
    shown = [chosen_percent(reduction) for reduction in plan.reductions]
    now, needed = [["", "models", "smallest p", *shown]], [["", "at least", *shown]]
    for seeds in plan.seed_plans:
        smallest = _judged(min(1.0, plan.n_tests * plan.n_arms * seeds.smallest_pvalue), plan.alpha)
        now.append([seeds.pilot.title, _sizes(seeds), smallest, *map(_power_now, seeds.answers)])
        enough = [_needed(answer, plan.max_seeds) for answer in seeds.answers]
        needed.append([seeds.pilot.title, f"{seeds.least_seeds}", *enough])
    lines = [
        f"Pilot: {plan.study}, {plan.model}, {plan.primary_measure}.",
        *(line for caution in plan.cautions for line in _prose(f"note: {caution}")),
        *_prose(
            f"Claim: {_claim(plan)}. One-sided permutation of method labels over trained models, alpha "
            f"{plan.alpha:g}{_correction(plan)}."
        ),
        "",
        *_prose(
            "The pilot's design: models of each method in each task, smallest possible p (- is above alpha), and the chance "
            "(power) that a study of that size shows the claim, if the true reduction is"
        ),
        *_columns(now),
        *dict.fromkeys(_uneven(seeds) for seeds in plan.seed_plans if _uneven(seeds)),
        "",
        *_prose(
            "Seeds of each method in each task: the fewest that can be significant at all, and those that give power "
            f"{plan.power:g}, if the true reduction is"
        ),
        *_columns(needed),
        "",
        *_assumed(plan),
        "",
        *_samples(plan.sample_plans, plan.half_width),
        *(line for note in plan.notes for line in _prose(f"note: {note}")),
    ]
    return "\n".join(lines)


def _claim(plan: PilotPlan) -> str:
    where = "the mean over layers" if plan.layers is None else "one layer"
    much = "less" if plan.margin == 0 else f"more than {chosen_percent(plan.margin)} less"
    subject = method_title(plan.comparison_method) if plan.n_arms == 1 else "the method of the row"
    return f"{subject} drifts {much} than {method_title(plan.reference_method)}, in {where}"


def _correction(plan: PilotPlan) -> str:
    if plan.n_arms > 1:
        arms = (
            f", corrected for {plan.n_arms} methods as in Holm's first step (a claim that comes later needs less; so these powers are the "
            "lowest)"
        )
        return arms + _layer_correction(plan)
    return _layer_correction(plan)


def _layer_correction(plan: PilotPlan) -> str:
    if plan.layers is None:
        return ""
    if plan.n_tests == 1:
        return (
            ", as if no other layer were tested: a max-T test over the layers has at most that power (see --layers all)"
        )
    return (
        f", corrected by Holm for {plan.n_tests} layers; the analysis corrects by max-T where no model is missing, whose "
        "power lies between this and --layers max-t"
    )


def _assumed(plan: PilotPlan) -> list[str]:
    spreads: dict[str, str] = {}
    for seeds in plan.seed_plans:
        ends = zip(seeds.spread, seeds.spread_low, seeds.spread_high, seeds.degrees_of_freedom, strict=True)
        for task, (spread, low, high, freedom) in zip(seeds.pilot.tasks, ends, strict=True):
            title = f"{seeds.pilot.arm}{task_title(task)}"
            where = title if plan.layers is None else f"{title}, {seeds.pilot.where}"
            spreads.setdefault(
                where,
                f"  {where}: {math.exp(spread):.3g} (95 % interval {math.exp(low):.3g} to {math.exp(high):.3g}, from "
                f"{counted(freedom, 'degree')} of freedom)",
            )
    simulated = [design for seeds in plan.seed_plans for a in seeds.answers for design in (a.now, *a.tried)]
    return [
        *_prose(
            "Assumed: drifts of models that differ in their seed alone are log-normal, with the pilot's spread, alike for "
            "both methods; the reduction is the same in all tasks; models are independent. The pilot's own reduction plays "
            "no part. One standard deviation between seeds, as a factor of drift:"
        ),
        *spreads.values(),
        *_prose(
            "Each simulated study draws its spread from what the pilot leaves possible: a pilot of few seeds asks for more. "
            f"Powers come from 1,000 simulated studies each and may be off by {2 * max(d.error for d in simulated):.2f}."
        ),
    ]


def _samples(plans: Sequence[SamplePlan], target: float | None) -> list[str]:
    rows = [["", "samples", "median", "widest", "at"]]
    if target is not None:
        rows[0] += ["samples for the median", "for the widest"]
    for plan in plans:
        name = f"{task_title(plan.task)}, {method_title(plan.method)}"
        if plan.missing:
            rows.append([name, f"none: {plan.missing}"])
            continue
        at = f"layer {plan.layer}, seed {plan.seed}"
        row = [name, str(plan.n_samples), f"{plan.median:.2g}", f"{plan.largest:.2g}", at]
        if target is not None:
            row += [f"{plan.needed_median:,}", f"{plan.needed_largest:,}"]
        rows.append(row)
    end = "--half-width WIDTH says how many samples narrow them to that."
    if target is not None:
        end = f"To bring the half-width to {target:g}: four times the samples halve it; a task may not have so many."
    grouped = {task_title(plan.task): plan.groups for plan in plans if plan.groups is not None}
    if grouped:
        named = listed([f"{title} from {groups}" for title, groups in grouped.items()])
        end += f" Samples of one group tell little more than one of them ({named}): it takes as many times more groups."
    return [
        "Intervals over samples, for these trained models: half-width by task and method, over layers and seeds",
        *_columns(rows),
        *_prose(f"{end} No number of samples stands in for seeds."),
    ]


def _verdict(reach: Reach) -> str:
    enough = f"{counted(reach.enough, 'seed')} at least ({pvalue(reach.enough_pvalue)})"
    if reach.roomy != reach.enough:
        enough += f", and only just; {reach.roomy} leave room ({pvalue(reach.roomy_pvalue)})"
    if reach.only_just:
        return f"only just significant, if every model of one method drifts less than every one of the other. It takes {enough}"
    if reach.reachable:
        return f"can be significant. It takes {enough}"
    return f"can never be significant, whatever the models do. It takes {enough}"


def _judged(smallest: float, alpha: float) -> str:
    if smallest > alpha * (1 + REL_TOLERANCE):
        return f"{pvalue(smallest)} -"
    return f"{pvalue(smallest)} (just)" if math.isclose(smallest, alpha, rel_tol=REL_TOLERANCE) else pvalue(smallest)


def _power_now(answer: SeedsNeeded) -> str:
    power = answer.now.power
    if answer.now.error == 0:  # not simulated: no data of this design would be significant
        return "0"
    return "> 0.99" if power > 0.99 else "< 0.01" if power < 0.01 else f"{power:.2f}"


def _needed(answer: SeedsNeeded, most: int) -> str:
    return f"> {most}" if answer.needed is None else str(answer.needed)


def _sizes(plan: SeedPlan) -> str:
    return ", ".join(dict.fromkeys(f"{m} and {k}" for m, k in plan.pilot.sizes))


def _uneven(plan: SeedPlan) -> str:
    if len({n for pair in plan.pilot.sizes for n in pair}) == 1:
        return ""
    return f"{plan.pilot.title}: numbers differ; the power is that of {plan.pilot.seeds} of each everywhere."


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _columns(rows: list[list[str]]) -> list[str]:
    """Returns table rows as lines: the first column flush left, the others flush right."""
    full = max(map(len, rows))
    wide = [max((len(row[i]) for row in rows if len(row) == full), default=0) for i in range(full)]
    wide[0] = max(len(row[0]) for row in rows)
    lines: list[str] = []
    for row in rows:
        cells = [row[0].ljust(wide[0]), *row[1:]]
        if len(row) == full:
            cells[1:] = [cell.rjust(width) for cell, width in zip(row[1:], wide[1:], strict=True)]
        lines.append(("  " + "   ".join(cells)).rstrip())
    return lines
