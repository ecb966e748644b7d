"""docs/reference/measures.md names every measure and descriptor, no other, and says of each what the registry says."""

import math
import re
from pathlib import Path

import pytest
import torch

from repdrift.similarity import descriptor, descriptors, measure, measures
from repdrift.similarity.measure import EXACT

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "measures.md").read_text(encoding="utf-8")
IMPLIED = {
    "rotation": {"order of features", "rotation of both sides alike"},
    "scaling of each feature": {"scaling"},
}
NUMBERS = {"√2": math.sqrt(2), "π/2": math.pi / 2}
OTHER_NAMES = {
    "alpha", "cka_resampled", "delete_group_values", "product_dtype", "resample_weights",
}  # fmt: skip
"""Words in code type that look like a name and are none of a measure."""


def _table(heading):
    """The rows of the first table below a heading, as {first cell: {column: cell}}."""
    lines = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0].strip("`"): dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


REPRESENTATIONS = _table("Of representations")
PREDICTIONS = _table("Of predictions")
DESCRIPTORS = _table("Descriptors of one representation")


def test_the_tables_have_every_name_once_and_no_other():
    assert list(REPRESENTATIONS) == measures("representations")
    assert list(PREDICTIONS) == measures("predictions")
    assert list(DESCRIPTORS) == descriptors()


def test_no_name_in_the_text_is_unknown():
    known = {*measures(), *descriptors(), *OTHER_NAMES}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE))
    suffixes = {"_cv", "_reverse"}
    assert named - known == set()
    assert suffixes == set(re.findall(r"`(_[a-z]+)`", PAGE))
    for heading in ("Which to read", "Of representations"):
        for name in re.findall(r"`([a-z_]+)`", PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]):
            assert name in known | suffixes


def test_the_example_of_streaming_runs_and_gives_the_value_of_all_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = PAGE.split("## Streaming\n")[1].split("\n## ")[0]
    (program,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    y = x + 0.1 * torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    batches = list(zip(x.split(8), y.split(8), strict=True))
    names = {"first_part": batches[:2], "second_part": batches[2:]}
    exec(program, names)  # noqa: S102  (the page's own example)
    assert names["result"].n == 40
    assert names["value"] == pytest.approx(measure("cka")(x, y), abs=1e-6)


@pytest.mark.parametrize("name", measures())
def test_range_of_a_measure_is_the_registered_one(name):
    m = measure(name)
    cell = {**REPRESENTATIONS, **PREDICTIONS}[name]["range"]
    kind, _, bounds = cell.rpartition(", ")
    _agree(bounds, m.bounds)
    if name in REPRESENTATIONS:
        assert kind == ("" if m.higher_is_similar else "distance")


@pytest.mark.parametrize("name", measures("representations"))
def test_unchanged_by_and_streams_are_what_is_registered(name):
    row, m = REPRESENTATIONS[name], measure(name)
    assert row["what it is"] == m.title
    assert _with_implied(row["unchanged by"]) == m.invariances
    assert row["streams"] == ("exactly" if m.streaming == EXACT else "no")


@pytest.mark.parametrize("name", measures("predictions"))
def test_description_of_a_measure_of_predictions_is_the_registered_one(name):
    assert PREDICTIONS[name]["what it is"] == measure(name).description


@pytest.mark.parametrize("name", descriptors())
def test_row_of_a_descriptor_is_what_is_registered(name):
    row, d = DESCRIPTORS[name], descriptor(name)
    assert row["what it is"] == d.description
    _agree(row["range"], d.bounds)
    # One representation has no other side to be rotated alike.
    assert _with_implied(row["unchanged by"]) - {"rotation of both sides alike"} == d.invariances


def _with_implied(cell):
    """The transformations that a row names, with those that follow from them."""
    said = cell.split(", ")
    return set(said).union(*(IMPLIED.get(word, set()) for word in said))


def _agree(cell, bounds):
    low, high = cell.removeprefix("from "), "inf"
    if not cell.startswith("from "):
        low, high = cell.split(" to ")
    assert NUMBERS.get(low) or float(low) == pytest.approx(bounds[0], rel=2e-3)
    assert NUMBERS.get(high, float("nan")) == bounds[1] or float(high) == pytest.approx(bounds[1], rel=2e-3)
