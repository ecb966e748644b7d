import math

import pytest

from repdrift.report.page.payload import columns
from repdrift.report.page.study.run_table import run_table
from tests.unit.report.page.study.trained_study import trained_study

MISSING = (("sst2", "lora", 2),)


def test_every_planned_run_is_a_row_with_its_mean_drift():
    data = trained_study(missing=MISSING)
    table = run_table(data)
    assert len(table.rows) == len(data.results.runs) == len(table.details) == 8
    for row, run in zip(table.rows.to_dict("records"), data.results.runs, strict=True):
        held = data.primary[
            (data.primary.task == run.task) & (data.primary.method == run.method) & (data.primary.seed == run.seed)
        ]
        assert row["seed"] == run.seed
        if run.status == "ok":
            assert row["drift"] == pytest.approx(held["drift"].mean())
        else:
            assert (row["state"], row["drift"], row["learnt"]) == ("missing", None, None)


def test_a_mean_over_fewer_layers_is_no_mean():
    data = trained_study()
    data.table.loc[data.table.index[0], "drift"] = math.nan  # layer 0 of the first run under the primary measure
    assert run_table(data).rows["drift"][0] is None
    assert run_table(data).rows["drift"][1] > 0


def test_a_missing_run_says_why_and_what_makes_it():
    table = run_table(trained_study(missing=MISSING))
    (details,) = [d for d, state in zip(table.details, table.rows["state"], strict=True) if state != "ok"]
    assert "repdrift train --task sst2 --method lora --seed 2" in details["Why it is missing, and what makes it"]
    assert not {"Trained", "Training", "Settings"} & set(details)


def test_a_run_has_rate_time_folder_and_key_of_its_training():
    table = run_table(trained_study())
    row = table.rows[table.rows["arm"] == "LoRA"].iloc[0]
    assert (row["learning_rate"], row["wall_time_s"]) == (2e-3, 12.5)
    details = table.details[row.name]
    assert details["Folder, from that of the results"] == "../lora_mrpc_1"
    assert details["What was trained"] == "LoRA, rank 8: 1,234 of 51,234 parameters"
    assert "learning_rate 0.002, epochs 3, batch_size 16" in details["Settings"]
    assert details["Key of the run"] == "key 1"


def test_without_its_folder_a_run_says_so_and_has_no_rate_or_curve():
    table = run_table(trained_study(only=lambda run: run.method == "lora"))
    full = table.rows["arm"] == "full fine-tuning"
    assert table.rows.loc[full, "learning_rate"].isna().all()
    assert table.details[0]["Training"] == "Its run folder was not at hand when the study was analysed."
    assert set(table.curves["row"]) == set(table.rows.index[~full])


def test_without_any_folder_there_is_no_curve_and_no_column_of_nothing():
    table = run_table(trained_study(only=lambda _: False))
    assert table.curves is None
    assert not {"learning_rate", "wall_time_s", "trained_steps"} & set(table.columns)


def test_curves_are_those_of_the_row_and_thinned_ones_say_so():
    table = run_table(trained_study())
    first = table.curves[table.curves["row"] == 0]
    assert first.drop(columns="row").astype(object).where(
        first.drop(columns="row").notna(), None
    ).to_numpy().tolist() == [
        [1, "training loss", 0.75],
        [2, "training loss", None],
        [2, "F1", 0.5],
    ]
    assert table.details[0]["Curves"] == "loss: 2 of 200 points are kept"


def test_a_run_that_was_trained_otherwise_is_marked():
    table = run_table(trained_study(changes={"as_planned": False}))
    assert all("Other settings" in details for details in table.details)


def test_checkpoints_are_rows_and_give_scores_along_the_way_where_no_history_does():
    data = trained_study(only=lambda _: False, checkpoints=(10, 20))
    runs = [run.model_copy(update={"trained_steps": run.step or 30}) for run in data.results.runs]
    table = run_table(type(data)(data.results.model_copy(update={"runs": runs}), data.table, data.table_name))
    assert list(table.rows["step"][:3]) == ["end", 10, 20]
    first = table.curves[(table.curves["row"] == 0) & (table.curves["name"] == "accuracy")]
    assert list(first["step"]) == [10, 20, 30]


def test_the_table_goes_into_the_page_without_a_number_that_is_none():
    stored = columns(run_table(trained_study(missing=MISSING)).rows)
    assert None in stored["drift"]
    assert "nan" not in str(stored).lower()
