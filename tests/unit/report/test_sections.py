import numpy as np
import pytest

from repdrift.report.dashboard import sections
from tests.unit.report.synthetic_results import WEIGHT_MEASURE, Synthetic, report_data

LORA_OF_MRPC = tuple(("mrpc", "lora", seed) for seed in (42, 123, 456))


@pytest.fixture(scope="module")
def data():
    missing = (*LORA_OF_MRPC, ("sst2", "lora", 42))
    return report_data(Synthetic(tasks=("mrpc", "sst2"), layers=3, missing=missing, weights=True))


def test_a_row_for_every_measure_and_a_column_for_every_task_and_method_with_the_models_at_hand(data):
    rows = sections.by_measure(data)
    assert [row.drift_is for row in rows] == [
        "1 - debiased CKA",
        "1 - biased CKA",
        "1 - raw cosine",
        "1 - centred cosine",
    ]
    assert dict(zip(sections.groups(data), sections.model_counts(data), strict=True)) == {
        ("mrpc", "full_finetune"): (3, 3), ("mrpc", "lora"): (0, 3), ("sst2", "full_finetune"): (3, 3), ("sst2", "lora"): (2, 3),
    }  # fmt: skip
    assert [row.means[1] for row in rows] == [None] * 4
    expected = data.table.query("measure == 'cosine' and task == 'sst2' and method == 'lora'").drift.mean()
    assert next(row for row in rows if row.name == "cosine").means[3] == pytest.approx(expected)


def test_a_measure_without_drift_has_no_row(data):
    assert WEIGHT_MEASURE in data.results.study.measures
    assert WEIGHT_MEASURE not in [row.name for row in sections.by_measure(data)]


def test_layers_are_rows_and_groups_columns(data):
    rows = sections.by_layer(data)
    assert [layer for layer, _ in rows] == [0, 1, 2]
    assert sections.groups(data)[1] == ("mrpc", "lora")
    assert all(values[1] is None for _, values in rows)
    assert rows[2][1][0] == pytest.approx(data.mean_drift("mrpc", "full_finetune")[2])


def test_controls_are_ranges_over_layers_and_none_where_not_at_hand(data):
    mrpc, sst2 = sections.controls(data)
    assert sst2.noise == pytest.approx((1e-6, 3e-6))
    assert mrpc.mispaired == pytest.approx((0.997, 0.997))
    assert mrpc.between_seeds == pytest.approx(tuple(data.mean_drift("mrpc", "full_finetune")[[0, 2]] / 2))
    assert mrpc.random_change == pytest.approx(tuple(0.15 * data.mean_drift("mrpc", "full_finetune")[[0, 2]]))
    alone = report_data(
        Synthetic(tasks=("mrpc",), methods=("lora",), seeds=(1,), layers=2, identity=False, random_change=False)
    )
    (row,) = sections.controls(alone)
    assert (row.noise, row.between_seeds, row.random_change) == (None, None, None)


def test_tasks_without_both_methods_are_named(data):
    assert sections.uncompared(data) == ["mrpc"]


def test_layers_on_the_expected_side_of_each_control_are_counted():
    study = Synthetic(tasks=("mrpc", "sst2"), layers=4, negative_below=1, missing=LORA_OF_MRPC)
    rows = sections.standings(report_data(study))
    assert [(row.task, row.method) for row in rows] == [
        ("mrpc", "full_finetune"),
        ("sst2", "full_finetune"),
        ("sst2", "lora"),
    ]
    # The drift of layer 0 is below zero, and so are its synthetic ceiling and random change, which lie above it.
    assert all(row.counts == [(3, 4), (3, 4), (3, 4), (4, 4)] for row in rows)
    bare = report_data(Synthetic(tasks=("mrpc",), seeds=(1,), layers=2, identity=False, random_change=False))
    assert sections.standings(bare)[0].counts == [None, None, None, (2, 2)]


def test_failed_checks_are_named(data):
    assert sections.failed_checks(data) == ["first layer drifts little"]


def test_scores_are_listed_once_and_training_loss_is_none():
    data = report_data(Synthetic(tasks=("mrpc", "sst2"), layers=1, seeds=(1,)))
    for run in data.results.runs:
        run.metrics["train_loss"] = 0.5
    assert sections.metric_names(data) == ["accuracy", "f1"]


def test_checks_have_an_outcome_in_words():
    data = report_data(Synthetic(tasks=("mrpc",), layers=1, seeds=(1,), identity=False))
    assert [word for _, word in sections.checks(data)] == ["not possible", "failed"]


def test_a_mean_over_layers_needs_every_layer(data):
    table = data.table.copy()
    table.loc[(table.layer == 1) & (table.task == "mrpc") & (table.measure == "cka"), "drift"] = np.nan
    gap = type(data)(data.results, table, data.table_name)
    assert sections.by_measure(gap)[0].means[0] is None
    assert sections.by_layer(gap)[1][1][0] is None
