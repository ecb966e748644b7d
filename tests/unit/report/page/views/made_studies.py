"""Studies with every section on what moved, in shapes that charts must bear, and their charts drawn without a browser."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import vl_convert

from repdrift.core.records.directions import (  # fmt: skip
    DriftShare,
    LayerDirections,
    ModelDirections,
    RunDirections,
    StudyDirections,
)
from repdrift.core.records.layer_grid import BestLayer, GridMatrix, MethodGrid, ModelGrid, RunGrid, StudyGrid
from repdrift.core.records.likeness import (  # fmt: skip
    ChangeLikeness,
    DirectionPair,
    GroupLikeness,
    LikenessModel,
    PairLikeness,
    ProfilePair,
)
from repdrift.core.records.sample_moves import (
    GroupOverModels,
    MethodSamples,
    ModelSamples,
    MovedSample,
    SampleAgreement,
    SampleMoves,
    StudySamples,
    TaskSamples,
)
from repdrift.core.records.weights import RunWeightsMoved, StudyWeightsMoved, WeightCell, WeightGroup, WeightsOverSeeds
from repdrift.core.records.what_moved import StudyMoved
from repdrift.drift.likeness.tables import likeness_table
from repdrift.report.page.payload import payload
from repdrift.report.page.study import study_page
from tests.unit.report.synthetic_results import Synthetic, report_data

LONG = "a_very_long_name_of_a_method_that_goes_on_and_on_to_60_chars"
HOSTILE = "<img src=x onerror=alert(1)>'\"\\{{7*7}}"
PLAIN = Synthetic(tasks=("sst2", "mrpc"), layers=4, seeds=(1, 2), measures=("cka", "cosine"), checkpoints=(10, 20))
USUAL = Synthetic(inference=False)
ONE = Synthetic(tasks=("sst2",), layers=1, seeds=(1,), measures=("cka",))
DEEP = Synthetic(
    tasks=("sst2",), layers=96, seeds=(1, 2), measures=("cka",), missing=(("sst2", "lora", 2),), negative_below=9, inference=False
)  # fmt: skip
GONE = Synthetic(tasks=("sst2", "mrpc"), layers=3, measures=("cka",), missing=tuple(("mrpc", "lora", s) for s in (42, 123, 456)), random_change=False)  # fmt: skip
ARMS = Synthetic(
    tasks=("sst2",), layers=3, seeds=(1, 2), measures=("cka",), inference=False, methods=("full_finetune", "lora", "LoRA", LONG, HOSTILE, *(f"arm_{n}" for n in range(7)))
)  # fmt: skip
STUDIES = {"plain": PLAIN, "usual": USUAL, "one": ONE, "deep": DEEP, "gone": GONE, "arms": ARMS}


def made(study):
    """The data of a study with all sections."""
    data = report_data(study)
    runs = [run for run in data.results.runs if run.step == 0 and run.status == "ok"]
    moved = StudyMoved(
        weights=_weights(data, runs), grid=_grid(data, runs), likeness=_likeness(runs), directions=_directions(data, runs), samples=_samples(data, runs)
    )  # fmt: skip
    return replace(
        data,
        results=data.results.model_copy(update={"moved": moved}),
        samples=_sample_table(data, runs),
        likeness=_likeness_table(moved.likeness),
    )


def drawn(view, page, most=3, **chosen):
    """The view as SVG, one text for each of the first panels, of the rows that its filters leave. most: panels. chosen: values of filters by column."""
    rows = kept_rows(view, page, **chosen)
    parts = rows.groupby(view.panel_by, sort=False) if view.panel_by else [("", rows)]
    texts = {}
    for name, part in list(parts)[:most]:
        spec = {**json.loads(json.dumps(view.spec)), "width": 300, "data": {"name": "rows"}}
        spec["datasets"] = {"rows": json.loads(part.to_json(orient="records"))}
        texts[name] = vl_convert.vegalite_to_svg(spec)
    return texts


def kept_rows(view, page, **chosen):
    """The rows of a view under the filters at the start, or under those that are chosen."""
    rows = view.rows
    for each in (*page.filters, *view.choices):
        values = chosen.get(each.column, each.chosen)
        if each.column in view.filters and len(values):
            rows = rows[rows[each.column].isin(list(values))]
    return rows


@cache
def page_of(name):
    """The page of one of `STUDIES` with all sections, and its views by name."""
    page = study_page(made(STUDIES[name]))
    return page, {view.name: view for view in (page.main, *page.views)}


def bytes_of_tables(page):
    """The size of all tables of a page as it holds them, without compression."""
    return len(json.dumps(payload(page)["tables"], separators=(",", ":")))


def _weights(data, runs):
    layers = range(data.results.study.n_layers)
    cells = [
        WeightCell(method=m, kind=kind, layer=layer, models=2, intruders=None, relative_change=None if kind == "up" else 0.0 if kind == "bias" else 0.01 * (layer + 1))
        for m in data.methods for kind in ("bias", "query", "up") for layer in layers
    ]  # fmt: skip
    whole = WeightGroup(group="all", weights=9, changed=3, relative_change=0.02, intruders=5, vectors=30)
    over = [
        WeightsOverSeeds(
            task=r.task, method=r.method, part=part, group=group, seeds=[r.seed], change_norm=1.0, change_norm_sd=None, relative_change=0.02, relative_change_sd=None, rank_90=4.0,
            rank_90_sd=None, alignment_left=None, alignment_right=None, intruder_share=None, intruder_share_sd=None,
        )
        for r in runs if r.seed == runs[0].seed for part, group in (("kind", "query"), ("layer", "0"), ("layer", "outside"))
    ]  # fmt: skip
    of_runs = [
        RunWeightsMoved(task=r.task, method=r.method, seed=r.seed, step=0, whole=whole, kinds=[], layers=[])
        for r in runs
    ]
    return StudyWeightsMoved(leading=10, intruder_cosine=0.5, runs=of_runs, over_seeds=over, cells=cells)


def _grid(data, runs):
    layers = list(range(data.results.study.n_layers))
    values = [[None if base == tuned == 0 and len(layers) > 1 else 1.0 - abs(base - tuned) / len(layers) for tuned in layers] for base in layers]  # fmt: skip
    matrix = GridMatrix(kind="base_tuned", measure="cka", row_layers=layers, column_layers=layers, values=values)
    best = [BestLayer(layer=layer, best=layer, value=1.0, as_good=[layer]) for layer in layers]
    found = ModelGrid(rows=9, matrices=[matrix], of_tuned=best, of_base=best)
    pairs = dict.fromkeys((r.task, r.method) for r in runs)
    return StudyGrid(
        runs=[RunGrid(task=r.task, method=r.method, seed=r.seed, found=found) for r in runs],
        methods=[MethodGrid(task=task, method=method, seeds=[1], base_tuned=matrix) for task, method in pairs],
        tasks=[],
    )


def _likeness(runs):
    runs = runs[:6]
    models = [LikenessModel(name=f"{r.task}, {r.method}, seed {r.seed}", task=r.task, method=r.method, seed=r.seed) for r in runs]  # fmt: skip
    pairs = [
        PairLikeness(first=a, second=b, whole=GroupLikeness(by="all", group="all", weights=3, cosine=None if (a, b) == (0, 1) else 0.1 * (a - b), chance=0.01, missing="none" if (a, b) == (0, 1) else None))
        for a in range(len(models)) for b in range(a + 1, len(models))
    ]  # fmt: skip
    profiles = [ProfilePair(first=p.first, second=p.second, spearman=0.9, cosine=0.99) for p in pairs]
    directions = [DirectionPair(first=0, second=1, layer=layer, cosine=0.25, chance=0.2) for layer in (0, 1) if pairs]
    return ChangeLikeness(models=models, pairs=pairs, profiles=profiles, directions=directions, order=list(range(len(models)))[::-1])  # fmt: skip


def _likeness_table(found):
    """The table beside the results, with likenesses by kind and layer that differ from those of all weights."""
    groups = [("kind", "query", 0.5), ("layer", "3", 0.3), ("layer", "outside", -0.5)]
    pairs = [
        pair.model_copy(update={"groups": [GroupLikeness(by=by, group=group, weights=1, cosine=cosine, chance=0.01) for by, group, cosine in groups]})
        for pair in found.pairs
    ]  # fmt: skip
    return likeness_table(found, pairs)


def _directions(data, runs):
    kinds = ("shift", "rotation", "scaling", "linear", "rest")
    layers = [
        LayerDirections(layer=n, relative_change=0.1, rotation_alone=0.1, scaling_alone=0.0, relative_shift=None if n == 0 else 0.2 * n, shares=[DriftShare(kind=kind, share=0.2 - 0.1 * place) for place, kind in enumerate(kinds)])
        for n in range(data.results.study.n_layers)
    ]  # fmt: skip
    found = ModelDirections(layers=layers, n=9)
    return StudyDirections(runs=[RunDirections(task=r.task, method=r.method, seed=r.seed, found=found) for r in runs])


def _samples(data, runs):
    most = [MovedSample(sample="s1", text=HOSTILE, share=0.1, times=2.0, label="a")]
    moves = SampleMoves(samples=20, places=[], most=most, least=[])
    tasks = [
        TaskSamples(
            task=task, samples=20, models=[ModelSamples(method=r.method, seed=r.seed, moves=moves) for r in runs if r.task == task],
            methods=[MethodSamples(method=m, most=most) for m in data.methods], agreement=[SampleAgreement(method=m, models=1, note="there is one model") for m in data.methods],
            groups=[GroupOverModels(method=m, by="label", value="a", n=10, models=2, ratio=1.5, low=1.1, high=2.0, p_adjusted=0.04) for m in data.methods],
        )
        for task in dict.fromkeys(r.task for r in runs)
    ]  # fmt: skip
    return StudySamples(tasks=tasks)


def _sample_table(data, runs):
    g = np.random.default_rng(3)
    rows = [
        {
            "task": r.task, "method": r.method, "seed": r.seed, "step": 0, "site": "resid_post", "layer": layer, "sample": f"s{n}", "group": None, "label": "a" if n % 2 else None, "length": 9,
            "share": 0.1, "own_drift": float(g.random()), "cosine_change": 0.1, "stands_out": False,
        }
        for r in runs for layer in range(data.results.study.n_layers) for n in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows)
