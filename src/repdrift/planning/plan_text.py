"""The words of `repdrift power`: what its JSON says, for reading."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from repdrift.core.records.results import ALL_TASKS
from repdrift.core.words import chosen_percent, counted, method_title, pvalue, task_title
from repdrift.planning.reach import REL_TOLERANCE

_WIDTH = 118


def reach_text(found: dict[str, Any]) -> str:
    """What a design can reach, from the JSON of `repdrift power --config`."""
    alpha, n_tasks, n_layers = found["alpha"], len(found["tasks"]), found["n_layers"]
    titles = {
        "task": "a single task" if n_tasks > 1 else task_title(found["tasks"][0]),
        "tasks": f"all {n_tasks} tasks together",
    }
    if n_layers is not None:
        titles["layers"] = "each layer, by max-T" if n_layers == 1 else f"each of {n_layers} layers, by Holm"
    scopes = [reach["scope"] for reach in found["reach"]]
    rows = [["", *(titles[scope] for scope in scopes)]]
    for seeds, smallest in found["smallest_pvalue_by_seeds"].items():
        here = " (this study)" if int(seeds) == found["seeds"] else ""
        rows.append([f"{seeds} of each{here}", *(_judged(smallest[scope], alpha) for scope in scopes)])
    lines = [
        *_prose(
            f"Study {found['study']}: {counted(n_tasks, 'task')}, {counted(found['seeds'], 'seed')} of each method in each. "
            "Nothing was measured: this is what its numbers allow."
        ),
        "",
        f"Smallest possible p by seeds of each method and task (alpha {alpha:g}; one-sided; - is above alpha: out of reach)",
        *_columns(rows),
        "",
        *(line for reach in found["reach"] for line in _prose(f"{titles[reach['scope']]}: {_verdict(reach)}.")),
    ]
    if n_layers is None:
        lines += _prose(
            "Layers: their number is not known before the model is here; --layers N corrects for N of them."
        )
    lines += _prose(
        "That p can be small does not mean that it will be: how many seeds are likely to show a reduction takes a pilot "
        "(repdrift power RESULTS)."
    )
    return "\n".join(lines)


def plans_text(found: dict[str, Any]) -> str:
    """What a pilot asks for, from the JSON of `repdrift power`."""
    plans, alpha = found["seed_plans"], found["alpha"]
    shown = [chosen_percent(reduction) for reduction in found["reductions"]]
    now, needed = [["", "models", "smallest p", *shown]], [["", "at least", *shown]]
    for plan in plans:
        name = scope_title(plan["pilot"]["where"])
        smallest = min(1.0, found["n_tests"] * plan["smallest_pvalue"])
        now.append([name, _sizes(plan["sizes"]), _judged(smallest, alpha), *map(_power_now, plan["answers"])])
        needed.append([name, f"{plan['least_seeds']}", *(_needed(a, found["max_seeds"]) for a in plan["answers"])])
    lines = [
        f"Pilot: {found['study']}, {found['model']}, {found['primary_measure']}.",
        *_prose(
            f"Claim: {_claim(found)}. One-sided permutation of method labels over trained models, alpha "
            f"{alpha:g}{_correction(found)}."
        ),
        "",
        *_prose(
            "The pilot's design: models of each method in each task, smallest possible p (- is above alpha), and the chance "
            "(power) that a study of that size shows the claim, if the true reduction is"
        ),
        *_columns(now),
        *dict.fromkeys(_uneven(plan) for plan in plans if _uneven(plan)),
        "",
        *_prose(
            "Seeds of each method in each task: the least that can be significant at all, and those that give power "
            f"{found['power']:g}, if the true reduction is"
        ),
        *_columns(needed),
        "",
        *_assumed(found),
        "",
        *_samples(found),
        *(line for note in found["notes"] for line in _prose(f"note: {note}")),
    ]
    return "\n".join(lines)


def _claim(found: dict[str, Any]) -> str:
    where = "the mean over layers" if found["layers"] is None else "one layer"
    much = "less" if found["margin"] == 0 else f"more than {chosen_percent(found['margin'])} less"
    comparison, reference = method_title(found["comparison_method"]), method_title(found["reference_method"])
    return f"{comparison} drifts {much} than {reference}, in {where}"


def _correction(found: dict[str, Any]) -> str:
    if found["layers"] is None:
        return ""
    if found["n_tests"] == 1:
        return (
            ", as if no other layer were tested: a max-T test over the layers has at most that power (see --layers all)"
        )
    return (
        f", corrected by Holm for {found['n_tests']} layers; the analysis corrects by max-T where no model is missing, whose "
        "power lies between this and --layers max-t"
    )


def _assumed(found: dict[str, Any]) -> list[str]:
    plans = found["seed_plans"]
    spreads: dict[str, str] = {}
    for plan in plans:
        ends = zip(plan["spread"], plan["spread_low"], plan["spread_high"], plan["degrees_of_freedom"], strict=True)
        for task, (spread, low, high, freedom) in zip(plan["pilot"]["tasks"], ends, strict=True):
            title = task_title(task)
            where = title if found["layers"] is None else f"{title}, {plan['pilot']['where']}"
            spreads.setdefault(
                where,
                f"  {where}: {math.exp(spread):.3g} (95 % interval {math.exp(low):.3g} to {math.exp(high):.3g}, from "
                f"{counted(freedom, 'degree')} of freedom)",
            )
    errors = [design["error"] for plan in plans for a in plan["answers"] for design in (a["now"], *a["tried"])]
    return [
        *_prose(
            "Assumed: drifts of models that differ in their seed alone are log-normal, spread as in the pilot and alike for "
            "both methods; the reduction is the same in all tasks; models are independent. The pilot's own reduction plays "
            "no part. One standard deviation between seeds, as a factor of drift:"
        ),
        *spreads.values(),
        *_prose(
            "Each simulated study draws its spread from what the pilot leaves possible: a pilot of few seeds asks for more. "
            f"Powers come from 1,000 simulated studies each and may be off by {2 * max(errors):.2f}."
        ),
    ]


def _samples(found: dict[str, Any]) -> list[str]:
    target = found["half_width"]
    rows = [["", "samples", "median", "widest", "at"]]
    if target is not None:
        rows[0] += ["samples for the median", "for the widest"]
    for plan in found["sample_plans"]:
        name = f"{task_title(plan['task'])}, {method_title(plan['method'])}"
        if plan["missing"]:
            rows.append([name, f"none: {plan['missing']}"])
            continue
        at = f"layer {plan['layer']}, seed {plan['seed']}"
        row = [name, str(plan["n_samples"]), f"{plan['median']:.2g}", f"{plan['largest']:.2g}", at]
        if target is not None:
            row += [f"{plan['needed_median']:,}", f"{plan['needed_largest']:,}"]
        rows.append(row)
    end = "--half-width WIDTH says how many samples narrow them to that."
    if target is not None:
        end = f"To bring the half-width to {target:g}: four times the samples halve it; a task may not have so many."
    return [
        "Intervals over samples, for these trained models: half-width by task and method, over layers and seeds",
        *_columns(rows),
        *_prose(f"{end} No number of samples stands in for seeds."),
    ]


def _verdict(reach: dict[str, Any]) -> str:
    enough = f"{counted(reach['enough'], 'seed')} at least ({pvalue(reach['enough_pvalue'])})"
    if reach["roomy"] != reach["enough"]:
        enough += f", and only just; {reach['roomy']} leave room ({pvalue(reach['roomy_pvalue'])})"
    if reach["only_just"]:
        return f"only just significant, if every model of one method drifts less than every one of the other. It takes {enough}"
    if reach["reachable"]:
        return f"can be significant. It takes {enough}"
    return f"can never be significant, whatever the models do. It takes {enough}"


def _judged(smallest: float, alpha: float) -> str:
    if smallest > alpha * (1 + REL_TOLERANCE):
        return f"{pvalue(smallest)} -"
    return f"{pvalue(smallest)} (just)" if math.isclose(smallest, alpha, rel_tol=REL_TOLERANCE) else pvalue(smallest)


def _power_now(answer: dict[str, Any]) -> str:
    now = answer["now"]
    if now["error"] == 0:  # not simulated: no data of this design would be significant
        return "0"
    return "> 0.99" if now["power"] > 0.99 else "< 0.01" if now["power"] < 0.01 else f"{now['power']:.2f}"


def _needed(answer: dict[str, Any], most: int) -> str:
    return f"> {most}" if answer["needed"] is None else str(answer["needed"])


def _sizes(sizes: Sequence[Sequence[int]]) -> str:
    each = list(dict.fromkeys(f"{m} and {k}" for m, k in sizes))
    return ", ".join(each)


def _uneven(plan: dict[str, Any]) -> str:
    numbers = {n for pair in plan["sizes"] for n in pair}
    if len(numbers) == 1:
        return ""
    return f"{scope_title(plan['pilot']['where'])}: numbers differ; the power is that of {plan['seeds_now']} of each everywhere."


def scope_title(where: str) -> str:
    """Returns the task or layer of a pilot as a heading."""
    return "all tasks together" if where == ALL_TASKS else task_title(where)


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _columns(rows: list[list[str]]) -> list[str]:
    """Rows as lines: the first column flush left, the others flush right, as wide as they need."""
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
