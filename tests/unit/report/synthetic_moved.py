"""Every other part of the results of a study that was never run: what moved, sites, predictors and paths of score and drift.

Numbers follow from layer, method and seed, so that a drawn figure can be held against them; no analysis has made them.
"""

from itertools import combinations, product

import numpy as np

from repdrift.core.records.directions import (
    BesideRandomChange,
    DirectionCountRecord,
    DriftShare,
    LayerDirections,
    ModelDirections,
    RunDirections,
    StudyDirections,
)
from repdrift.core.records.drift_predictors import DriftPredictors, MeasureCorrelation
from repdrift.core.records.equal_skill import EqualSkill, RunPath, SkillRun, SkillScore
from repdrift.core.records.layer_grid import GridMatrix, MethodGrid, StudyGrid, TaskGrid
from repdrift.core.records.likeness import (
    ChangeLikeness,
    DirectionPair,
    GroupLikeness,
    LikenessModel,
    PairLikeness,
    ProfilePair,
)
from repdrift.core.records.outcomes import ArmOutcome, StudyOutcomes
from repdrift.core.records.sample_moves import (
    GroupOverModels,
    MethodSamples,
    ModelSamples,
    PlaceMoves,
    SampleMoves,
    StudySamples,
    TaskSamples,
)
from repdrift.core.records.site_drift import SiteDrift, SiteDrifts
from repdrift.core.records.weights import RunWeightsMoved, StudyWeightsMoved, WeightCell, WeightGroup
from repdrift.core.records.what_moved import StudyMoved

COUNT = DirectionCountRecord(carrying=3, most=40, participation_ratio=2.5, top_share=0.4)
KINDS = ("query", "key", "value", "output", "up", "gate", "down", "norm")
SHARES = {"shift": 0.5, "rotation": -0.1, "scaling": 0.0, "linear": 0.2, "rest": 0.4}
SAMPLES = 200


def runs_of(study):
    """Every trained model that is there, as (task, method, seed)."""
    every = ((t, m, s) for t in study.tasks for m in study.methods for s in study.seeds)
    return [run for run in every if run not in study.missing]


def moved(study):
    """All sections on what moved."""
    return StudyMoved(
        directions=_directions(study), likeness=_likeness(study), weights=weights(study), grid=_grid(study), samples=samples(study)
    )  # fmt: skip


def _directions(study):
    layers = [LayerDirections(layer=0, relative_change=0.0, missing=["It did not move."])]
    layers += [
        LayerDirections(
            layer=layer, relative_change=0.1, relative_shift=0.3, relative_shift_low=0.2, relative_shift_high=0.45, shift_noise=0.05, spread=1.0, adjusted_pvalue=0.01, whole=COUNT, rotation_alone=0.1, scaling_alone=0.0,
            shares=[DriftShare(kind=kind, share=share) for kind, share in SHARES.items()],
            beside_random=BesideRandomChange(rows=40, own_shift_share=0.5, random_shift_share=0.45),
        )
        for layer in range(1, max(2, study.layers))
    ]  # fmt: skip
    found = ModelDirections(layers=layers, n=40)
    return StudyDirections(runs=[RunDirections(task=t, method=m, seed=s, found=found) for t, m, s in runs_of(study)])


def _likeness(study):
    models = [LikenessModel(name=f"{t} {m} {s}", task=t, method=m, seed=s) for t, m, s in runs_of(study)]
    pairs = [
        PairLikeness(first=i, second=j, whole=GroupLikeness(
            by="all", group="all", weights=9, cosine=None if i == 0 and j == 1 else float(np.cos(i - j))))
        for i, j in combinations(range(len(models)), 2)
    ]  # fmt: skip
    order = list(range(len(models)))
    profiles = [
        ProfilePair(first=pair.first, second=pair.second, spearman=None if pair.first == 0 else 0.9 - 0.05 * pair.second, cosine=0.9) for pair in pairs
    ]  # fmt: skip
    directions = [
        DirectionPair(first=pair.first, second=pair.second, layer=layer, cosine=0.3 * layer - 0.2)
        for pair in pairs for layer in range(2) if models[pair.first].task == models[pair.second].task
    ]  # fmt: skip
    return ChangeLikeness(
        models=models, pairs=pairs, profiles=profiles, directions=directions, order=order, profile_order=order[::-1], direction_order=order
    )  # fmt: skip


def weights(study):
    """Weights of every kind in every layer; `key` moved in layer 0 alone, norms have no intruders, and the change grows tenfold with the layer."""
    cells = [
        WeightCell(
            method=method, kind=kind, layer=layer, models=2, intruders=None if kind == "norm" else float((layer + number) % 7),
            relative_change=None if (kind, layer) == ("up", 0) else 0.0 if kind == "key" and layer else 0.001 * (1 + number) * (1 + layer),
        )
        for number, method in enumerate(study.methods) for kind in KINDS for layer in range(study.layers)
    ]  # fmt: skip
    whole = WeightGroup(group="all", weights=9, changed=3, relative_change=0.01, intruders=5, vectors=30)
    runs = [
        RunWeightsMoved(task=t, method=m, seed=s, step=0, whole=whole, kinds=[], layers=[])
        for t, m, s in runs_of(study)
    ]
    return StudyWeightsMoved(leading=10, intruder_cosine=0.5, runs=runs, over_seeds=[], cells=cells)


def _grid(study):
    layers = list(range(study.layers))

    def matrix(kind, damp):
        values = [[None if (i, j) == (0, 1) else float(np.exp(-damp * abs(i - j))) for j in layers] for i in layers]
        return GridMatrix(kind=kind, measure="cka", row_layers=layers, column_layers=layers, values=values)

    there = dict.fromkeys((t, m) for t, m, _ in runs_of(study))
    methods = [
        MethodGrid(task=t, method=m, seeds=list(study.seeds), base_tuned=matrix("base_tuned", 0.3)) for t, m in there
    ]
    return StudyGrid(runs=[], methods=methods, tasks=[TaskGrid(task=t, base_base=matrix("base_base", 0.1)) for t in study.tasks])  # fmt: skip


def half_of(study, method, seed, layer):
    """The fewest samples that hold half of the drift in one model and layer."""
    return 20 + 3 * study.methods.index(method) + 2 * study.seeds.index(seed) + layer % 10


def samples(study):
    """Samples of every task: how many hold half of the drift, and two groups."""
    tasks = []
    for task in study.tasks:
        models = [
            ModelSamples(method=m, seed=s, moves=SampleMoves(samples=SAMPLES, most=[], least=[], places=[
                PlaceMoves(layer=layer, drift=0.1, half=half_of(study, m, s, layer)) for layer in range(study.layers)]))
            for t, m, s in runs_of(study) if t == task
        ]  # fmt: skip
        there = list(dict.fromkeys(of.method for of in models))
        groups = [
            GroupOverModels(
                method=method, by="label", value=value, n=100, models=len(study.seeds), ratio=ratio, low=None if len(study.seeds) == 1 else 0.8 * ratio,
                high=None if len(study.seeds) == 1 else 1.3 * ratio, samples_low=0.9 * ratio, samples_high=1.1 * ratio, p=0.04, p_adjusted=0.2,
                note="one model" if len(study.seeds) == 1 else "",
            )
            for method in there for value, ratio in (("a label of a class that has a rather long name, sixty in all", 1.4), ("no", 0.7))
        ]  # fmt: skip
        tasks.append(
            TaskSamples(task=task, samples=SAMPLES, models=models, agreement=[], groups=groups, methods=[MethodSamples(method=m, most=[]) for m in there])
        )  # fmt: skip
    return StudySamples(tasks=tasks)


def sites(study):
    """Drift at five sites, with ends before and after the layers."""
    found = []
    there = dict.fromkeys((t, m) for t, m, _ in runs_of(study))
    for task in study.tasks:
        drifts = []
        for method in [m for t, m in there if t == task]:
            for number, site in enumerate(("resid_post", "attn_out", "mlp_out", "embeddings", "final_norm")):
                layers = {"embeddings": [-1], "final_norm": [study.layers]}.get(site, list(range(study.layers)))
                by_layer = [-0.01 if layer <= 0 else 0.1 * (number + 1) * layer / study.layers for layer in layers]
                drifts.append(
                    SiteDrift(method=method, site=site, layers=layers, n_models=2, drift=0.1, by_layer=by_layer)
                )
        found.append(SiteDrifts(task=task, drifts=drifts))
    return found


def predictors():
    """Two outcomes, with measures of long names."""
    names = ("cka", "cosine", "procrustes_with_a_name_of_sixty_characters_that_goes_on_and_on")
    correlations = [
        MeasureCorrelation(measure=name, title=name, correlation=value, low=value - 0.2, high=min(1.0, value + 0.3), pvalue=0.01, pvalue_max_t=0.03)
        for name, value in zip(names, (0.9, -0.75, 0.1), strict=True)
    ]  # fmt: skip
    return [
        DriftPredictors(
            outcome=outcome, outcome_title=outcome, correlations=correlations, smallest_pvalue=1e-4, n_units=12, groups=2, sentence="They go together."
        )
        for outcome in ("score", "forgetting")
    ]  # fmt: skip


def equal_skill(study):
    """Paths of score and drift of every run, with one run that never reaches the score."""
    found = []
    for task in study.tasks:
        for comparison in study.compared:
            of_task = [(m, s) for t, m, s in runs_of(study) if t == task and m in ("full_finetune", comparison)]
            paths = [_path(study, m, s) for m, s in of_task]
            runs = [
                SkillRun(task=task, method=p.method, seed=p.seed, best=0.8, drift=0.2 if n else None, crossing="reached" if n else "never", n_checkpoints=5)
                for n, p in enumerate(paths)
            ]  # fmt: skip
            score = SkillScore(task=task, metric="accuracy", higher_is_better=True, score=0.75, chosen="the best that every run reaches", limiting=[],
                               constant_score=0.5, tolerance=0.02, n_items=100)  # fmt: skip
            found.append(
                EqualSkill(comparison=comparison, task=task, measure="cka", scores=[score], runs=runs, paths=paths, metric="accuracy", constant_score=0.5,
                           comparison_drift=0.2, reference_drift=0.3, missing="It was not tested.")
            )  # fmt: skip
    return found


def _path(study, method, seed):
    scores = [0.3, 0.55, 0.7, 0.78, 0.8]
    top = 0.1 * (2 + study.methods.index(method) % 5) + 0.01 * study.seeds.index(seed)
    drifts = [0.0, 1e-4 * top, 0.2 * top, 0.7 * top, top]
    return RunPath(
        method=method, seed=seed, steps=[1, 2, 3, 4, 0], scores=scores, drifts=drifts, smoothed_scores=scores, smoothed_drifts=drifts
    )  # fmt: skip


def lost(study):
    """What every method has lost of the loss on general text and of retrieval, some without an interval."""
    arms = []
    for number, (task, method) in enumerate(product(study.tasks, study.methods)):
        for outcome, inputs, sign in (("forgetting", "general_text", 1), ("retrieval", "benchmark", -1)):
            loss = 0.02 * (number % 7) - 0.01
            has_interval = number % 3 > 0
            arms.append(
                ArmOutcome(
                    task=task, method=method, outcome=outcome, inputs=inputs, seeds=list(study.seeds), value=0.7 + sign * loss, base_value=0.7,
                    difference=sign * loss, low=sign * loss - 0.01 if has_interval else None, high=sign * loss + 0.01 if has_interval else None,
                    interval="jackknife over items" if has_interval else "", n=50, n_groups=50,
                )
            )  # fmt: skip
    return StudyOutcomes(arms=arms)
