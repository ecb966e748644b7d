"""Cards say the numbers of the results, beside their controls, name what was not measured, and show texts as they are."""

import numpy as np
import pandas as pd
import pytest

from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.words import number
from repdrift.report.report_data import read_report_data
from repdrift.sharing.cards.comparison_card import comparison_card
from repdrift.sharing.cards.study_card import ChosenRun, with_interval
from repdrift.sharing.model_card import model_card
from tests.command_line import run_here
from tests.unit.report.synthetic_comparison import compared, comparison
from tests.unit.report.synthetic_results import Synthetic, write_results


def _written(folder, synthetic):
    folder.mkdir(exist_ok=True)
    write_results(folder, synthetic)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return _written(tmp_path_factory.mktemp("study"), Synthetic(layers=3, tasks=("mrpc", "sst2")))


def _cells(text):
    """The rows of the first table of a card."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return rows[0], rows[
        2 : next((i for i, row in enumerate(rows[2:], 2) if set("".join(row)) <= set("-:")), len(rows))
    ]


def test_a_layer_without_an_interval_says_so():
    row = pd.Series({"drift": 0.25, "drift_low": float("nan"), "drift_high": 0.3})
    assert with_interval(row) == "0.250 [no interval]"
    assert with_interval(row.fillna(0.2)) == "0.250 [0.200, 0.300]"


def test_a_run_has_its_drift_by_layer_beside_its_controls(study):
    text = model_card(str(study), ChosenRun("sst2", "lora", 42))
    header, rows = _cells(text)
    assert header[:3] == ["layer", "drift [95 % interval over samples]", "base model run twice (noise)"]
    data = read_report_data(study / "drift_analysis_results.json")
    table = data.primary
    wanted = table[(table["task"] == "sst2") & (table["method"] == "lora") & (table["seed"] == 42)].sort_values("layer")
    assert [row[1].split()[0] for row in rows[:3]] == [number(drift) for drift in wanted["drift"]]
    assert [row[2] for row in rows[:3]] == [number(floor) for floor in wanted["noise_floor"]]
    assert f"a drift of {number(float(np.mean(wanted['drift'])))} on average over 3 layers" in text
    for part in ("### What it can do", "### What was measured", "### Cautions", "### Made with"):
        assert part in text
    assert not text.startswith("---"), "no metadata block"


def test_what_was_not_measured_is_named(tmp_path):
    folder = _written(
        tmp_path / "bare", Synthetic(layers=2, tasks=("sst2",), identity=False, random_change=False, inference=False)
    )
    text = model_card(str(folder), ChosenRun(method="lora", seed=42))
    assert "Not measured: base model run twice (noise); random change of the same size" in text
    assert "whether that is above the noise of extraction was not measured" in text


def test_a_study_has_its_answer_its_table_and_its_claims(study):
    text = model_card(str(study))
    assert "| task | full fine-tuning: drift |" in text
    assert "(supported)" in text or "(undecided)" in text or "(rejected)" in text
    assert "We measured how far fine-tuning moves the hidden states of smollm2-135m" in text


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (ChosenRun("sst2", "lora"), "3 models fit; expected one of: --task sst2 --method lora --seed"),
        (ChosenRun("nothing"), "no final model with these was measured; expected one of: --task"),
        (ChosenRun(seed=7), "no final model with these was measured"),
    ],
)
def test_a_model_that_is_not_one_is_refused_with_those_there_are(study, chosen, said):
    with pytest.raises(ConfigError, match=said):
        model_card(str(study), chosen)


def test_options_of_the_other_kind_of_results_are_refused(study, tmp_path):
    with pytest.raises(ConfigError, match="is a study: its models are chosen by --task"):
        model_card(str(study), model="x")
    comparison([compared("tuned", [0.1, 0.4])]).write(tmp_path / "comparison.json")
    with pytest.raises(ConfigError, match="is a comparison: its models are chosen by --model"):
        model_card(str(tmp_path), ChosenRun(seed=1))


def test_a_comparison_has_every_model_or_the_one_that_is_named():
    result = comparison([compared("first", [0.1, 0.4]), compared("second", [0.2, 0.3])])
    text = comparison_card(result)
    assert "#### first" in text
    assert "#### second" in text
    alone = comparison_card(result, "second")
    assert "#### " not in alone
    assert [row[1].split()[0] for row in _cells(alone)[1]] == ["0.200", "0.300"]
    assert "first" not in alone.split("### What was measured")[0]
    with pytest.raises(UnknownNameError, match="model of this comparison 'secondx'. Did you mean 'second'"):
        comparison_card(result, "secondx")


def test_names_that_a_reader_would_obey_are_shown_as_they_are():
    hostile = "<img src=x onerror=alert(1)> | [a](javascript:x) `code`"
    text = comparison_card(comparison([compared(hostile, [0.1, 0.4])]))
    assert "<img" not in text.replace("\\<img", "")
    assert "\\|" in text
    assert "](javascript" not in text.replace("\\](", "")


def test_the_command_prints_and_writes_the_same(study, tmp_path):
    printed = run_here(f"python -m repdrift card {study} --task sst2 --method lora --seed 42", tmp_path).stdout
    run_here(f"python -m repdrift card {study} --task sst2 --method lora --seed 42 --output card.md", tmp_path)
    assert (tmp_path / "card.md").read_text() == printed
    refused = run_here("python -m repdrift card nowhere.yaml", tmp_path, fails=True)
    assert "nowhere.yaml" in refused.stderr
