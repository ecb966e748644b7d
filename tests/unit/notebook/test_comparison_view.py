"""Comparisons in a notebook: the card has the answer and every caution, tables and figures are found by name."""

import importlib
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.notebook import comparison_view
from repdrift.report import comparison_figure
from tests.unit.report.synthetic_comparison import compared, comparison, refused


@pytest.fixture
def result():
    tuned = compared("tuned", [0.1, 0.4], notes=["Its weights are <b>rounded</b>."])
    return comparison(
        [tuned, compared("other", [0.2, 0.1]), refused("lost")], headline=["Mind the sinks."], warnings=["Few rows."]
    )


def test_card_has_the_answer_every_model_and_every_caution(result):
    card = result._repr_html_()
    for said in ("tuned drifts most", "layer 1: 0.40 (95 % interval 0.39 to 0.41)", "it has another tokenizer", "Mind the sinks.", "Few rows.",
                 "Its weights are &lt;b&gt;rounded&lt;/b&gt;."):  # fmt: skip
        assert said in card
    assert card.count("Few rows.") == 1


def test_card_of_many_models_is_cut_with_a_word(result):
    many = comparison([compared(f"model {k}", [0.1]) for k in range(30)])
    card = many._repr_html_()
    assert "and 22 more models" in card
    assert len(card) < 20_000


def test_card_has_no_path_of_this_machine(result, tmp_path):
    folder = tmp_path / "a" / "b" / "models"
    folder.mkdir(parents=True)
    card = result.model_copy(update={"base": str(folder), "warnings": [f"{folder} was read."]})._repr_html_()
    assert str(tmp_path) not in card


def test_where_only_text_is_shown_there_is_one_line(result):
    from IPython.lib.pretty import pretty

    assert pretty(result).startswith("<comparison: Of 2 models against base-model, tuned drifts most")


def test_card_of_models_that_could_not_be_compared_says_why():
    card = comparison([refused("lost", reason="no file there")])._repr_html_()
    assert "no file there" in card
    assert "No model has a drift by layer" in card


def test_tables_are_found_by_name(result):
    table = result.to_pandas()
    assert set(table["method"]) == {"tuned", "other"}
    assert table.equals(result.to_pandas("drift"))
    with pytest.raises(UnknownNameError, match="no table 'patching'. It has 'drift'"):
        result.to_pandas("patching")


def test_figures_are_matplotlibs_and_show_themselves(result, tmp_path):
    open_before = plt.get_fignums()
    figure = result.plot(width="one-column")
    assert isinstance(figure, Figure)
    png, metadata = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert "tuned drifts most" in metadata["alt"]
    figure.savefig(tmp_path / "drift.svg")
    assert "<text" in (tmp_path / "drift.svg").read_text(), "text stays text"
    assert plt.get_fignums() == open_before
    assert figure.get_figwidth() == pytest.approx(7.7 / 2.54)
    assert "Drift by layer" in repr(figure)


def test_a_figure_that_is_not_there_is_named_with_those_that_are(result):
    with pytest.raises(UnknownNameError, match="Did you mean 'drift_by_layer'"):
        result.plot("drift_by_layers")
    with pytest.raises(DataError, match="it was not measured. It can give drift_by_layer"):
        result.plot("token_strips")
    with pytest.raises(UnknownNameError, match="width"):
        result.plot(width="wide")


def test_every_drawing_is_one_that_the_command_writes():
    names = set()
    for path in Path(comparison_figure.__file__).parent.glob("*_figure.py"):
        module = importlib.import_module(f"repdrift.report.{path.stem}")
        for name, value in vars(module).items():
            names |= {value} if name in ("FIGURE_NAME", "INTRUDERS_NAME") else set()
            names |= set(value.values()) if name == "FIGURE_NAMES" else set()
    assert set(comparison_view._DRAWINGS) == names
