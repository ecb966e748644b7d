"""The main results of a study as a table: each number is that of the results, what is missing is a dash with the reason."""

import io
import re

import numpy as np
import pandas as pd
import pytest

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.report.tables.chosen import TableOptions
from repdrift.report.tables.exact import EXACT_COLUMNS, exact_csv
from repdrift.report.tables.latex import latex
from repdrift.report.tables.markdown import markdown
from repdrift.report.tables.shared_notes import with_shared_below
from repdrift.report.tables.study_table import study_table
from tests.unit.drift.skill_studies import two_arms
from tests.unit.report.equal_skill_results import with_equal_skill
from tests.unit.report.synthetic_results import Synthetic, report_data
from tests.unit.report.tables.latex_grammar import read_latex

SMALL = Synthetic(tasks=("sst2", "rte"), layers=3)


@pytest.fixture(scope="module")
def small():
    return report_data(SMALL)


@pytest.fixture(scope="module")
def hurt():
    """A study in which one model is missing, one has not learnt, and one method has a single model on a task."""
    study = Synthetic(
        tasks=("sst2", "rte"), layers=3, missing=(("rte", "lora", 42), ("sst2", "lora", 123), ("sst2", "lora", 456)),
        not_learnt=(("rte", "lora", 123),),
    )  # fmt: skip
    return report_data(study)


def exact(data, **options):
    return pd.read_csv(io.StringIO(exact_csv(study_table(data, TableOptions(**options)))), keep_default_na=True)


def md(data, digits=2, **options):
    return markdown(with_shared_below(study_table(data, TableOptions(**options))), digits)


def tex(data, digits=2, **options):
    return latex(with_shared_below(study_table(data, TableOptions(**options))), digits)


def cell_of(frame, row, column, number):
    (found,) = frame[(frame.row == row) & (frame.column == column) & (frame.number == number)].to_dict("records")
    return found


def test_drift_is_the_mean_over_layers_and_seeds_with_its_spread_over_seeds(small):
    frame = exact(small)
    assert tuple(frame.columns) == EXACT_COLUMNS
    primary = small.table[(small.table.measure == "cka") & (small.table.step == 0)]
    for task, title in (("sst2", "SST-2"), ("rte", "RTE")):
        per_seed = primary[(primary.task == task) & (primary.method == "lora")].groupby("seed").drift.mean()
        found = cell_of(frame, title, "LoRA", "drift")
        assert found["value"] == pytest.approx(per_seed.mean(), rel=1e-12)
        assert found["spread"] == pytest.approx(per_seed.std(), rel=1e-9)
    over = cell_of(frame, "all tasks", "LoRA", "drift")
    assert over["value"] == pytest.approx(primary[primary.method == "lora"].groupby("task").drift.mean().mean())
    assert np.isnan(over["spread"])


def test_reduction_has_the_interval_of_the_results_and_says_what_it_is_over(small):
    frame = exact(small)
    for task, title in (("sst2", "SST-2"), ("all", "all tasks")):
        record = small.reduction(task)
        found = cell_of(frame, title, "LoRA", "reduction")
        widest = next(i for i in record.intervals if i.over == "models and samples")
        assert (found["value"], found["low"], found["high"]) == pytest.approx(
            (record.reduction, widest.low, widest.high)
        )
        assert found["note"] == "interval over models and samples"
    assert "reduction" not in set(frame[frame.column == "full fine-tuning"].number)
    assert "- Reduction, every value: interval over models and samples." in md(small)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [("tasks", "arms"), ("tasks", "numbers"), ("tasks", "layers"), ("arms", "tasks"), ("arms", "numbers"), ("arms", "layers"), ("layers", "arms"), ("layers", "tasks")],
)  # fmt: skip
def test_every_arrangement_has_the_same_numbers(small, rows, columns):
    text = tex(small, rows=rows, columns=columns, digits=6)
    table = read_latex(text)
    drift = small.drift("sst2", "lora")
    wanted = drift.mean().tolist() if "layers" in (rows, columns) else [drift.mean(axis=1).mean()]
    numbers = [float(re.match(r"-?[\d.]+", cell)[0]) for row in table.rows for cell in row if re.match(r"-?\d", cell)]
    for value in wanted:
        assert any(abs(number - value) < 2e-5 for number in numbers), (value, numbers)
    assert "SST-2" in text
    assert "LoRA" in text
    shown = md(small, rows=rows, columns=columns)
    widths = {line.count("|") for line in shown.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_rows_by_layer_hold_the_drift_of_that_layer(small):
    frame = exact(small, rows="layers", columns="arms", layers=[2, 0])
    assert list(dict.fromkeys(frame.row)) == [0, 2]
    found = cell_of(frame, 2, "LoRA, RTE", "drift")
    assert found["value"] == pytest.approx(small.drift("rte", "lora")[2].mean())
    assert found["spread"] == pytest.approx(small.drift("rte", "lora")[2].std())
    reductions = exact(small, rows="layers", columns="tasks", show=["reduction,p"])
    layer = cell_of(reductions, 1, "all tasks, LoRA", "reduction")
    assert layer["value"] == pytest.approx(small.reduction("all", 1).reduction)


def test_a_p_says_what_it_is_about_and_what_became_of_the_claim(small):
    shown = md(small, show=["p"])
    assert "LoRA: p (a)" in shown
    note = next(line for line in shown.splitlines() if "(a)" in line and line.startswith("-"))
    assert "of the claim that LoRA drifts less than full fine-tuning at the end of training" in note
    assert "by permuting labels of trained models" in note
    frame = exact(small, show=["p"])
    test = small.test("comparison_drifts_less", "all")
    over = cell_of(frame, "all tasks", "LoRA", "p")
    assert over["value"] == pytest.approx(test.deciding_pvalue or test.pvalue)
    assert f"{test.verdict} at 0.05" in over["note"]
    assert "p" not in set(exact(small).number), "only where it is asked for"


def test_what_is_missing_is_a_dash_with_the_reason(hurt):
    shown = md(hurt)
    frame = exact(hurt)
    alone = cell_of(frame, "SST-2", "LoRA", "drift")
    assert np.isnan(alone["spread"])
    assert "without seeds 123 and 456: no model is there" in alone["note"]
    assert "one model, so there is no spread over seeds" in alone["note"]
    score = cell_of(frame, "all tasks", "LoRA", "score")
    assert np.isnan(score["value"])
    assert score["note"] == "scores of different tasks are not averaged"
    row = next(line for line in shown.splitlines() if line.startswith("| all tasks"))
    mark = re.search(r"– \((\w)\)", row)[1]
    assert f"- ({mark}) scores of different tasks are not averaged." in shown


def test_models_that_have_not_learnt_are_marked_in_every_format(hurt):
    said = "1 of 2 models has not learnt the task (seed 123)"
    assert said in cell_of(exact(hurt), "RTE", "LoRA", "drift")["note"]
    assert said in md(hurt)
    assert said in tex(hurt)
    reduction = cell_of(exact(hurt), "RTE", "LoRA", "reduction")
    assert "rests on models of LoRA that have not learnt the task" in reduction["note"]
    over = cell_of(exact(hurt), "all tasks", "LoRA", "drift")
    assert "some models of LoRA have not learnt their task" in over["note"]


def test_equal_skill_has_the_score_at_which_it_is_compared(tmp_path):
    data = with_equal_skill(tmp_path, two_arms(("sst2",), ratio=0.7))
    record = next(e for e in data.results.equal_skill if e.task == "all")
    assert record.reduction == pytest.approx(0.3, abs=0.05)
    found = cell_of(exact(data), "SST-2", "LoRA", "reduction_at_equal_skill")
    assert found["value"] == pytest.approx(record.reduction)
    assert f"at {record.scores[0].metric} {record.scores[0].score:.3f} on SST-2" in found["note"]
    assert "At equal skill" in md(data)


def test_another_measure_has_its_drift_and_no_claims(small):
    frame = exact(small, measure="cosine", show=["drift", "reduction", "p"])
    drift = cell_of(frame, "RTE", "LoRA", "drift")
    assert drift["value"] == pytest.approx(small.drift("rte", "lora", "cosine").mean(axis=1).mean())
    p = cell_of(frame, "all tasks", "LoRA", "p")
    assert np.isnan(p["value"])
    assert p["note"].startswith("claims are tested under cka only")
    assert (
        "reductions under cosine are made over all tasks and layers only"
        in cell_of(frame, "RTE", "LoRA", "reduction")["note"]
    )
    assert "raw cosine" in md(small, measure="cosine")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (
            {"rows": "tasks", "columns": "tasks"},
            ConfigError,
            "rows and columns are both 'tasks': name another one with --columns",
        ),
        ({"rows": "layers", "columns": "numbers"}, ConfigError, "give --columns arms"),
        ({"rows": "models"}, ConfigError, "`models` are those of a comparison"),
        ({"measure": "ckaa"}, UnknownNameError, "Did you mean 'cka'"),
        ({"show": ["drfit"]}, UnknownNameError, "Did you mean 'drift'"),
        ({"show": ["forgetting"]}, ConfigError, "forgetting was not measured"),
        ({"show": ["equal-skill"]}, ConfigError, "equal-skill: the results hold no comparison at equal skill"),
        ({"layers": [1]}, ConfigError, "add --rows layers"),
        ({"rows": "layers", "layers": [9]}, ConfigError, "no layer 9: they have 0 to 2"),
        ({"rows": "layers", "show": ["score"]}, ConfigError, "of whole models, not of single layers"),
    ],
)
def test_what_the_results_do_not_have_is_one_readable_message(small, options, error, said):
    with pytest.raises(error, match=said):
        study_table(small, TableOptions(**options))


def test_a_study_without_a_comparison_has_no_reduction():
    data = report_data(Synthetic(tasks=("sst2",), methods=("full_finetune",), layers=3, inference=False))
    assert "reduction" not in set(exact(data).number)
    with pytest.raises(ConfigError, match="no method could be compared with another"):
        study_table(data, TableOptions(show=["reduction"]))


def test_digits_are_significant_and_show_the_spread(small):
    drift = small.drift("rte", "lora").mean(axis=1)
    for digits in (1, 3, 5):
        row = next(
            line
            for line in md(small, digits=digits, rows="tasks", columns="arms", show=["drift"]).splitlines()
            if line.startswith("| RTE")
        )
        value, spread = re.findall(r"([\d.]+) ± ([\d.]+)", row)[1]
        places = len(value.partition(".")[2])
        assert value == f"{drift.mean():.{places}f}"
        assert spread == f"{drift.std():.{places}f}"
        assert float(spread) > 0
        assert len(value.replace(".", "").lstrip("0")) >= digits


SAID_OF_ALL = Synthetic(tasks=("sst2", "rte"), layers=3, seeds=(1,), learnt=None)


@pytest.mark.parametrize("study", [SMALL, SAID_OF_ALL], ids=["several seeds", "one seed, older files"])
@pytest.mark.parametrize(("rows", "columns"), [("tasks", "arms"), ("layers", "arms"), ("arms", "numbers")])
def test_no_note_is_lost_on_the_way_to_what_is_read(study, rows, columns):
    data = report_data(study)
    notes = {note for text in exact(data, rows=rows, columns=columns).note.dropna() for note in text.split("; ")}
    shown = md(data, rows=rows, columns=columns).replace("\\", "")
    assert notes or (study is SMALL and rows == "layers")
    assert [note for note in notes if note not in shown] == []
    assert shown.count("one model, so there is no spread over seeds") == (1 if study is SAID_OF_ALL else 0)


def test_a_caption_of_ones_own_takes_no_note_away():
    shown = md(report_data(SAID_OF_ALL), caption="Ours.")
    assert shown.startswith("Ours.\n")
    assert "- Drift, every value: one model, so there is no spread over seeds." not in shown, "all tasks have none"
    assert "one model, so there is no spread over seeds" in shown
