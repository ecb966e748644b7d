"""Tables of a comparison: models or layers down; what a comparison does not have is said."""

import io

import numpy as np
import pandas as pd
import pytest

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.records.output_changes import ModelOutputs, OutputChange
from repdrift.report.tables.chosen import TableOptions
from repdrift.report.tables.comparison_table import comparison_table
from repdrift.report.tables.exact import exact_csv
from repdrift.report.tables.latex import latex
from repdrift.report.tables.markdown import markdown
from repdrift.report.tables.shared_notes import with_shared_below
from tests.unit.report.glance.endings import compared, comparison
from tests.unit.report.tables.latex_grammar import read_latex

LOSS = OutputChange(
    outcome="forgetting", title="Loss", unit="nats per token", inputs="task", value=2.5, base_value=2.0, difference=0.5, low=0.4, high=0.6, n=40,
    n_groups=40, tokens=400,
)  # fmt: skip


@pytest.fixture(scope="module")
def result():
    return comparison(
        compared("first", [0.1, 0.3, 0.2], outputs=ModelOutputs(changes=[LOSS])),
        compared("second", [0.01, 0.02, 0.5], notes=["It was trained on 'other'."]),
        compared("third", [], status="not comparable", reason="it has another tokenizer. Give another one."),
    )


def exact(result, **options):
    return pd.read_csv(io.StringIO(exact_csv(comparison_table(result, TableOptions(**options)))))


def test_each_model_has_its_mean_and_its_largest_drift(result):
    frame = exact(result)
    drift = frame[frame.number == "drift"].set_index("row")
    assert drift.value["first"] == pytest.approx(0.2)
    assert drift.value["second"] == pytest.approx(0.53 / 3)
    largest = frame[(frame.number == "largest_drift") & frame.value.notna()].set_index("row")
    assert largest.value.to_dict() == {"first": 0.3, "second": 0.5}
    layers = frame[frame.number == "layer"].set_index("row").text
    assert (layers["first"], layers["second"]) == ("1", "2")
    loss = frame[frame.number == "rise_of_loss"].set_index("row")
    assert loss.value["first"] == 0.5
    assert np.isnan(loss.value["second"])
    assert "outputs of second were not compared" in loss.note["second"]


def test_a_model_that_was_not_compared_is_a_row_of_dashes_with_the_reason(result):
    shown = markdown(comparison_table(result, TableOptions()), 2)
    row = next(line for line in shown.splitlines() if line.startswith("| third"))
    assert row.count("–") == row.count("|") - 2
    assert "third was not compared: it has another tokenizer." in shown


def test_what_changes_how_a_model_is_read_is_a_footnote_at_its_drift(result):
    drift = exact(result)
    assert "It was trained on 'other'" in drift[(drift.row == "second") & (drift.number == "drift")].note.item()
    by_layer = markdown(comparison_table(result, TableOptions(rows="layers")), 2)
    assert "second: It was trained on 'other'." in by_layer


@pytest.mark.parametrize(
    ("rows", "columns"), [("models", "layers"), ("layers", "models"), ("arms", "numbers"), ("", "")]
)
def test_every_arrangement_is_latex_that_a_strict_reader_takes(result, rows, columns):
    read = read_latex(latex(comparison_table(result, TableOptions(rows=rows, columns=columns)), 3))
    cells = [cell for row in read.rows for cell in row]
    assert any(cell.startswith("0.500") for cell in cells)
    if "layers" in (rows, columns):
        assert any(cell.startswith("0.0100") for cell in cells)


def test_layers_can_be_chosen(result):
    frame = exact(result, rows="layers", layers=[2])
    assert set(frame.row) == {2}
    assert frame[frame.column == "second"].value.tolist() == [0.5]


def test_missing_controls_stand_below(result):
    bare = result.model_copy(update={"control_samples": None})
    assert "No controls were run" in markdown(comparison_table(bare, TableOptions()), 2)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"rows": "tasks"}, ConfigError, "a comparison has one set of texts and no tasks"),
        ({"rows": "layers", "columns": "layers"}, ConfigError, "rows and columns are both 'layers'"),
        ({"rows": "layers", "columns": "numbers"}, ConfigError, "give --columns models"),
        ({"show": ["reduction"]}, ConfigError, "reduction: it needs arms of a study"),
        ({"show": ["forgetting"]}, ConfigError, "forgetting: this comparison did not measure it"),
        ({"show": ["nosie"]}, UnknownNameError, "Did you mean 'noise'"),
        ({"measure": "ckaa"}, UnknownNameError, "Did you mean 'cka'"),
        ({"rows": "layers", "layers": [7]}, ConfigError, "no layer 7: it has 0 to 2"),
        ({"rows": "layers", "show": ["noise"]}, ConfigError, "shows the drift alone"),
    ],
)
def test_what_a_comparison_does_not_have_is_one_readable_message(result, options, error, said):
    with pytest.raises(error, match=said):
        comparison_table(result, TableOptions(**options))


def test_what_is_said_of_the_only_model_is_not_taken_for_what_goes_without_saying():
    alone = comparison(compared("only", [0.1, 0.2], notes=["It was trained on 'other'."]))
    for text in (markdown, latex):
        shown = text(with_shared_below(comparison_table(alone, TableOptions())), 2)
        assert "It was trained on" in shown


def test_a_note_on_all_models_stands_below_once():
    both = comparison(*(compared(name, [0.1, 0.2], notes=["Its weights are rounded."]) for name in "ab"))
    shown = markdown(with_shared_below(comparison_table(both, TableOptions())), 2)
    assert shown.count("Its weights are rounded") == 1
    assert "- Drift, every value: Its weights are rounded.\n" in shown
