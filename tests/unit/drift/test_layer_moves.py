"""Displacement of layers, methods against each other: planted moves, exact p, and designs that can show nothing."""

from math import comb

import pytest

from repdrift.core.records.layer_grid import BestLayer, ModelGrid, RunGrid, StudyGrid
from repdrift.core.study_grid_words import study_grid_section
from repdrift.drift import DriftPlan
from repdrift.drift.inference.layer_moves import layer_move_contrasts, layers_moved


def matches(*, up=(), by=1, layers=6):
    """Best matches of a model whose layers `up` hold what a base layer `by` before them held."""
    return [
        BestLayer(layer=at, best=at - by if at in up else at, value=0.9, as_good=[at - by] if at in up else [at], moved="up" if at in up else None)
        for at in range(layers)
    ]  # fmt: skip


def run(task, method, seed, of_tuned, **changes):
    found = ModelGrid(rows=40, matrices=[], of_tuned=of_tuned, of_base=[], interval="jackknife")
    return RunGrid(task=task, method=method, seed=seed, found=found.model_copy(update=changes))


def plan(tasks, methods=("full_finetune", "lora")):
    return DriftPlan(
        study="s", model="m", tasks=tasks, methods=methods, seeds=(1, 2, 3, 4), sets=[], bases=dict.fromkeys(tasks), measures=("cka",),
        target_reduction=0.2, alpha=0.05, comparison_methods=methods[1:],
    )  # fmt: skip


def test_displacement_is_the_mean_over_layers_of_what_is_shown():
    assert layers_moved(matches(up=(3, 4), by=2)) == pytest.approx(4 / 6)
    assert layers_moved(matches()) == 0
    assert layers_moved([]) is None
    down = BestLayer(layer=2, best=5, value=0.9, as_good=[4, 5], moved="down")  # layer 4 is as good: 2 layers at least
    unsure = BestLayer(layer=3, best=5, value=0.9, as_good=[3, 5])
    assert layers_moved([down, unsure]) == pytest.approx(-1)


def test_planted_moves_of_one_method_have_the_exact_p():
    runs = [run("sst2", "lora", s, matches(up=(2, 3), by=1 + s % 2)) for s in range(4)]
    runs += [run("sst2", "full_finetune", s, matches(up=(3,) if s else ())) for s in range(4)]
    (found,) = layer_move_contrasts(runs, plan(["sst2"]))
    assert found.mean == pytest.approx(3 / 6)
    assert found.reference_mean == pytest.approx(3 / 4 / 6)
    assert found.estimate == pytest.approx(3 / 6 - 3 / 24)
    assert found.low < found.estimate < found.high
    assert found.p == found.p_adjusted == found.smallest_p == pytest.approx(2 / comb(8, 4))
    assert (found.models, found.reference_models, found.note) == (4, 4, None)


def test_design_that_can_show_nothing_has_an_estimate_and_no_p():
    runs = [run("sst2", "lora", s, matches(up=(2, 3))) for s in range(3)]
    runs += [run("sst2", "full_finetune", s, matches(up=(3,) if s else ())) for s in range(3)]
    (found,) = layer_move_contrasts(runs, plan(["sst2"]))
    assert (found.p, found.p_adjusted, found.smallest_p) == (None, None, pytest.approx(0.1))
    assert found.note == "so few models cannot show a difference: the least p that they can give is 0.1"
    section = study_grid_section(_results(runs, [found]))
    assert (
        "LoRA against full fine-tuning: content moved by +0.33 layers against +0.11 (mean over the layers of a model; above 0 is away from the input; "
        "3 models against 3), a difference of +0.22"
    ) in " ".join(section.answer)
    assert "not tested: so few models cannot show a difference" in " ".join(section.answer)


def test_tasks_are_strata_and_models_without_intervals_do_not_count():
    runs = [run(t, "lora", s, matches(up=(2, 3), by=1 + s % 2)) for t in ("sst2", "rte") for s in range(3)]
    runs += [run(t, "full_finetune", s, matches()) for t in ("sst2", "rte") for s in range(3)]
    runs += [run("mrpc", "lora", s, matches(), no_interval="there are 4 samples") for s in range(3)]
    (found,) = layer_move_contrasts(runs, plan(["mrpc", "rte", "sst2"]))
    assert (found.tasks, found.models) == (["rte", "sst2"], 6)
    assert found.p == found.smallest_p == pytest.approx(2 / comb(6, 3) ** 2)


def test_equal_models_are_not_tested_and_it_says_so():
    runs = [run("sst2", m, s, matches()) for m in ("lora", "full_finetune") for s in range(4)]
    (found,) = layer_move_contrasts(runs, plan(["sst2"]))
    assert (found.estimate, found.p) == (0, None)
    assert found.note == "content moved equally in every model: there is nothing to test"
    answer = " ".join(study_grid_section(_results(runs, [found])).answer)
    assert "LoRA against full fine-tuning: content is not shown to stand in another layer under either" in answer


def _results(runs, contrasts):
    class Results:
        class moved:  # noqa: N801
            grid = StudyGrid(runs=runs, methods=[], tasks=[], contrasts=contrasts)

    return Results
