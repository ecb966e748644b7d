"""Values in charts: equal to those of the records, by a way of their own where a view takes means."""

import numpy as np
import pytest

from repdrift.core.outcome_words import score_title
from repdrift.core.records.likeness import GroupLikeness
from repdrift.report.page.likeness_rows import likeness_rows
from repdrift.report.page.views.controls import CONTROL_WORDS, TRAINED
from repdrift.report.page.views.heatmap import spans_decades
from repdrift.report.page.views.samples import KEPT
from tests.unit.report.page.views.made_studies import GONE, PLAIN, made, page_of


@pytest.fixture(scope="module")
def plain():
    return made(PLAIN), page_of("plain")[1]


def test_drifts_are_those_of_the_table(plain):
    data, views = plain
    rows = views["drift"].rows
    table = data.table.set_index(["seed", "step", "measure", "layer"]).sort_index()
    one = rows[(rows["task"] == "MRPC") & (rows["arm"] == "LoRA") & (rows["measure"] == "cosine")]
    expected = table[(table["task"] == "mrpc") & (table["method"] == "lora")]
    found = one.set_index(["seed", "step", "measure", "layer"])["drift"].sort_index()
    assert found.tolist() == expected["drift"].loc[found.index].tolist()
    assert views["heatmap"].rows.equals(rows)


def test_missing_models_have_rows_without_a_number():
    rows = page_of("gone")[1]["drift"].rows
    absent = rows[(rows["task"] == "MRPC") & (rows["arm"] == "LoRA")]
    assert len(absent) == 3 * GONE.layers
    assert absent["drift"].isna().all()
    assert rows.groupby(["task", "arm", "layer"]).size().nunique() == 1


@pytest.mark.parametrize(("drifts", "expected"), [([0.1, 0.9], False), ([0.004, 0.41], True), ([-0.1, 0.0], False), ([np.nan, 0.1], False)])  # fmt: skip
def test_scale_is_logarithmic_from_two_decades_on(plain, drifts, expected):
    rows = plain[1]["drift"].rows.head(2).assign(drift=drifts, layer=[0, 1])
    assert spans_decades(rows) is expected


def test_reductions_are_those_of_the_records_in_percent(plain):
    data, views = plain
    rows = views["reduction"].rows.set_index(["task", "at"])
    for task, title in (("sst2", "SST-2"), ("mrpc", "MRPC"), ("all", "all tasks")):
        found = next(r for r in data.results.reductions if r.task == task and r.layer is None)
        row = rows.loc[(title, "end of training")]
        assert row["reduction"] == pytest.approx(100 * found.reduction)
        interval = next(i for i in found.intervals if i.over == "models and samples") if found.intervals else None
        if interval is not None:
            assert (row["low"], row["high"]) == pytest.approx((100 * interval.low, 100 * interval.high))
        bound = None if found.reduction_low is None else 100 * found.reduction_low
        assert np.isnan(row["bound"]) if bound is None else row["bound"] == pytest.approx(bound)


def test_trajectories_are_means_over_layers(plain):
    data, views = plain
    rows = views["trajectory"].rows
    table = data.table[data.table["measure"] == "cka"]
    for when, step in (("10", 10), ("final", 0)):
        one = table[(table["task"] == "sst2") & (table["method"] == "lora") & (table["seed"] == 2) & (table["step"] == step)]  # fmt: skip
        row = rows[(rows["task"] == "SST-2") & (rows["arm"] == "LoRA") & (rows["seed"] == 2) & (rows["when"] == when)]
        assert row["drift"].tolist() == [pytest.approx(sum(one["drift"]) / len(one))]
    assert list(dict.fromkeys(rows["task"])) == ["SST-2", "MRPC"]


def test_controls_are_those_of_the_records(plain):
    data, views = plain
    rows = views["controls"].rows.set_index(["task", "arm", "series", "layer"])["drift"]
    for control in data.results.controls:
        if control.measure == "cka" and control.task == "mrpc" and control.method in ("lora", None):
            assert rows.loc["MRPC", "LoRA", CONTROL_WORDS[control.name], control.layer] == pytest.approx(control.drift)
    of_models = data.table[(data.table["task"] == "mrpc") & (data.table["method"] == "lora") & (data.table["step"] == 0) & (data.table["measure"] == "cka") & (data.table["layer"] == 3)]  # fmt: skip
    assert rows.loc["MRPC", "LoRA", TRAINED, 3] == pytest.approx(sum(of_models["drift"]) / len(of_models))


def test_the_frontier_has_every_score_and_the_mean_drift_of_its_model(plain):
    data, views = plain
    rows = views["frontier"].rows
    for run in (r for r in data.results.runs if r.step == 0 and r.task == "mrpc" and r.method == "lora"):
        for metric, score in run.metrics.items():
            row = rows[
                (rows["panel"] == f"MRPC: {score_title(metric)}") & (rows["arm"] == "LoRA") & (rows["seed"] == run.seed)
            ]
            assert row["score"].tolist() == [score]
            drifts = data.drift("mrpc", "lora").loc[run.seed]
            assert row["drift"].tolist() == [pytest.approx(sum(drifts) / len(drifts))]


def test_weights_are_those_of_the_records(plain):
    data, views = plain
    cells = views["weights"].rows.set_index(["arm", "kind", "layer"])["relative_change"]
    for cell in data.results.moved.weights.cells:
        if cell.method == "lora" and cell.relative_change is not None:
            assert cells.loc["LoRA", cell.kind, cell.layer] == cell.relative_change
    assert cells.isna().sum() == 2 * PLAIN.layers
    by_layer = views["weights_by_layer"].rows
    assert set(by_layer["layer"]) == {0}
    assert set(by_layer["value"]) == {0.02, 4.0}


def test_the_best_match_is_the_largest_similarity(plain):
    rows = plain[1]["layer_grid"].rows
    one = rows[rows["panel"] == "SST-2: LoRA"]
    assert len(one) == PLAIN.layers**2
    for tuned, part in one.groupby("layer"):
        best = part[part["best"] == "yes"]
        assert best["cka"].tolist() == [part["cka"].max()] * len(best)
        if tuned:
            assert best["base_layer"].tolist() == [tuned]


def test_likeness_has_every_two_models_once_for_each_choice(plain):
    data, views = plain
    found, view = data.results.moved.likeness, views["likeness"]
    rows = view.rows.set_index(["by", "model", "other"])
    names = [model.name for model in found.models]

    def value(by, first, second):
        return rows.loc[
            (by, *sorted((names[first], names[second]), key=names.index, reverse=True))
        ]  # as clustering puts them

    for pair in found.pairs:
        row = value("all weights", pair.first, pair.second)
        assert row["likeness"] == pair.whole.cosine if pair.whole.cosine is not None else np.isnan(row["likeness"])
    assert value("all weights", 0, 1)["note"] == "none"
    assert value("weights: query", 0, 2)["likeness"] == pytest.approx(0.5)
    assert value("weights of layer 3", 0, 2)["likeness"] == pytest.approx(0.3)
    assert value("weights outside the blocks", 0, 2)["likeness"] == pytest.approx(-0.5)
    assert value("drift by layer (rank correlation)", 0, 1)["likeness"] == pytest.approx(0.9)
    assert value("directions in layer 1", 0, 1)["likeness"] == pytest.approx(0.25)
    assert value("directions in layer 1", 0, 1)["chance"] == pytest.approx(0.2)
    (choice,) = view.choices
    assert [by for by, _ in choice.options] == list(dict.fromkeys(view.rows["by"]))
    assert list(choice.chosen) == ["all weights"]


def test_likeness_of_many_layers_keeps_some_of_them_and_says_which():
    found = made(PLAIN).results.moved.likeness
    groups = {(p.first, p.second): [GroupLikeness(by="layer", group=str(n), weights=1, cosine=0.1) for n in range(9)] for p in found.pairs}  # fmt: skip
    of_pairs, others = len(found.pairs), len(found.pairs) + len(found.profiles)
    kept = likeness_rows(found, groups, most=others + 3 * of_pairs + len(found.directions))
    assert [by for by in kept.choices if "of layer" in by] == [f"weights of layer {n}" for n in (0, 4, 8)]
    assert kept.left_out == " Of 9 layers, layers 0, 4, 8 can be chosen here; likeness.parquet has all."
    assert len(kept.rows) <= others + 3 * of_pairs + len(found.directions)


def test_directions_are_those_of_the_records(plain):
    rows = plain[1]["directions"].rows
    one = rows[(rows["task"] == "SST-2") & (rows["arm"] == "LoRA") & (rows["seed"] == 1) & (rows["layer"] == 2)]
    assert dict(zip(one["panel"], one["value"], strict=True)) == {
        "shift, in spreads of samples": 0.4, "share of shift": 0.2, "share of rotation": 0.1, "share of scaling": 0.0, "share of other linear": pytest.approx(-0.1), "share of rest": pytest.approx(-0.2),
    }  # fmt: skip


def test_kept_samples_are_those_that_moved_most_and_least(plain):
    data, views = plain
    rows = views["samples"].rows
    table = data.samples[(data.samples["task"] == "sst2") & (data.samples["layer"] == 2)]
    means = {}
    for method in ("full_finetune", "lora"):
        for sample in set(table["sample"]):
            values = table[(table["sample"] == sample) & (table["method"] == method)]["own_drift"]
            means[method, sample] = sum(values) / len(values)
    over = {sample: (means["full_finetune", sample] + means["lora", sample]) / 2 for _, sample in means}
    order = sorted(over, key=over.get, reverse=True)
    at = rows[(rows["task"] == "SST-2") & (rows["layer"] == "2")]
    assert list(dict.fromkeys(at[at["list"] == "moved most"]["sample"])) == order[:KEPT]
    assert list(dict.fromkeys(at[at["list"] == "moved least"]["sample"])) == order[-KEPT:]
    lora = at[at["arm"] == "LoRA"].set_index("sample")["moved"]
    assert lora.loc[order[0]] == pytest.approx(means["lora", order[0]])


def test_groups_say_their_interval(plain):
    rows = plain[1]["sample_groups"].rows
    assert rows[["ratio", "low", "high", "p"]].drop_duplicates().to_numpy().tolist() == [[1.5, 1.1, 2.0, 0.04]]
    assert set(rows["over"]) == {"over models"}


def test_negative_drift_is_kept_and_has_a_colour():
    rows = page_of("deep")[1]["heatmap"].rows
    assert (rows["drift"] < 0).any()


def test_claims_by_layer_are_those_of_the_records(plain):
    data, views = plain
    rows = views["significance"].rows
    tests = [t for t in data.results.tests if t.layer is not None and t.hypothesis in ("comparison_drifts_less", "reduction_exceeds_target")]  # fmt: skip
    words = {"comparison_drifts_less": "drifts less than full fine-tuning", "reduction_exceeds_target": "drifts at least 20 % less than full fine-tuning"}  # fmt: skip
    assert len(rows) == len(tests) == 2 * PLAIN.layers
    for test in tests:
        row = rows[(rows["layer_claim"] == words[test.hypothesis]) & (rows["layer"] == test.layer)].iloc[0]
        assert row["effect"] == pytest.approx(100 * test.estimate)
        assert row["p"] == test.deciding_pvalue
        assert row["corrected"] == f"{test.correction} over 4 layers"
        assert row["note"] == test.sentence[:1].upper() + test.sentence[1:]
        assert row["margin"] == {"comparison_drifts_less": 0, "reduction_exceeds_target": 20}[test.hypothesis]


def test_claims_by_task_are_those_of_the_records_and_likeness_is_said_as_a_reduction(plain):
    data, views = plain
    rows = views["task_significance"].rows.set_index(["task_claim", "task"])
    for name, claim in (("comparison_drifts_less", "drifts less than full fine-tuning"), ("methods_equivalent", "drifts as full fine-tuning within a factor of 1.25")):  # fmt: skip
        for task, title in (("sst2", "SST-2"), ("all", "all tasks")):
            test = data.test(name, task)
            row = rows.loc[(claim, title)]
            assert row["p"] == test.pvalue
            turned = name == "methods_equivalent"
            assert row["effect"] == pytest.approx(100 * (1 - test.estimate if turned else test.estimate))
            if test.interval is not None:
                ends = sorted(100 * (1 - end if turned else end) for end in (test.interval.low, test.interval.high))
                assert [row["low"], row["high"]] == pytest.approx(ends)
    assert data.test("methods_equivalent", "sst2").interval is not None


def test_profiles_of_tasks_are_drifts_by_their_mean_over_layers(plain):
    data, views = plain
    rows = views["task_profiles"].rows
    assert rows.groupby(["arm", "task"])["relative"].mean().tolist() == pytest.approx([1] * 4)
    one = rows[(rows["arm"] == "LoRA") & (rows["task"] == "MRPC")]
    table = data.table[(data.table["task"] == "mrpc") & (data.table["method"] == "lora") & (data.table["step"] == 0) & (data.table["measure"] == "cka")]  # fmt: skip
    means = [float(table[table["layer"] == layer]["drift"].mean()) for layer in range(PLAIN.layers)]
    assert one["drift"].tolist() == pytest.approx(means)
    assert one["relative"].tolist() == pytest.approx([value / np.mean(means) for value in means])
    assert one["models"].tolist() == [2] * PLAIN.layers
