"""`compare` on samples that come in groups: intervals leave out whole groups, or are missing, and every output says so."""

import json

import pandas as pd
import pytest

from repdrift.core.errors import ConfigError
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.report.comparison_figure import comparison_drawing
from tests.command_line import run_here
from tests.unit.comparison.tiny_comparisons import run


@pytest.fixture(scope="module")
def by_speaker(texts, tmp_path_factory):
    """The 40 texts, said by 10 speakers, by 4, by one, and by one each."""
    path = tmp_path_factory.mktemp("speakers") / "said.jsonl"
    lines = texts.read_text().splitlines()
    rows = [
        {"text": t, "ten": i // 4, "four": f"s{i % 4}", "one": "x", "each": i, "giant": min(i, 12)}
        for i, t in enumerate(lines, start=0)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def drifts(result):
    return [(at.drift, at.drift_low, at.drift_high) for at in result.models[0].layers]


def test_ten_groups_have_intervals_over_groups(models, by_speaker, tmp_path):
    done = run_here(
        f"python -m repdrift compare {models['base']} {models['full']} --data {by_speaker} --text-column text --group-column ten "
        "--control-samples 20 --output-dir out --full",
        tmp_path,
    )
    result = Comparison.read(tmp_path / "out" / COMPARISON_FILE)
    assert (result.sample_groups, result.sample_group_unit) == (10, "group")
    assert all(at.drift_low < at.drift_high for at in result.models[0].layers)  # pyright: ignore[reportOperatorIssue]
    said = "Intervals: jackknife over 10 groups, which are left out whole."
    assert said in done.stdout
    assert said in (tmp_path / "out" / "comparison.md").read_text()
    table = pd.read_csv(tmp_path / "out" / "drift.csv")
    assert set(table[table["measure"] == "cka"]["interval"]) == {"jackknife over 10 groups"}
    plain = run(models, ["full"], by_speaker, text_columns=["text"], control_samples=20)
    assert [d for d, _, _ in drifts(plain)] == [d for d, _, _ in drifts(result)]
    assert drifts(plain) != drifts(result)


@pytest.mark.parametrize(("column", "words"), [("four", "4 groups"), ("one", "1 group")])
def test_too_few_groups_have_no_interval_and_it_is_said(models, by_speaker, column, words):
    from repdrift.core.comparison_words import how_sure

    result = run(models, ["full"], by_speaker, text_columns=["text"], group_column=column, controls=False)
    assert all(low is None for _, low, _ in drifts(result))
    assert f"There are no intervals: the samples come from {words}, and an interval needs 10 at least." in how_sure(
        result
    )
    assert f"The 40 samples come from {words}: intervals over samples need 10 at least" in " ".join(result.data_notes)
    assert f"There is no interval over samples: the samples come from {words}" in result.models[0].notes[0]
    assert comparison_drawing(result) is not None


def test_a_group_of_most_samples_has_no_interval_and_every_output_says_so(models, by_speaker):
    from repdrift.core.comparison_words import how_sure

    result = run(models, ["full"], by_speaker, text_columns=["text"], group_column="giant", controls=False)
    said = "one of 13 groups holds 28 of the 40 samples, so an interval would rest on that one alone"
    assert all(low is None for _, low, _ in drifts(result))
    assert f"There are no intervals: {said}." in how_sure(result)
    assert f"There is no interval over samples: {said}." in result.models[0].notes


def test_one_group_a_sample_is_as_no_groups_at_all(models, by_speaker):
    plain, each = (
        run(models, ["full"], by_speaker, text_columns=["text"], group_column=column, controls=False)
        for column in (None, "each")
    )
    assert drifts(plain) == drifts(each)
    assert each.sample_groups is None


def test_a_built_in_task_takes_no_group_column(models):
    with pytest.raises(ConfigError, match="columns and formats are named for a file of your own"):
        run(models, ["full"], "sst2", data_dir="sample", group_column="sentence")
