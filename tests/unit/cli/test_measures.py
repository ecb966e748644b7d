"""`repdrift measures`: what is registered is listed, in tables, in full and as JSON."""

import json
import re

import pytest
from typer.testing import CliRunner

from repdrift.cli.main import app, main
from repdrift.similarity import descriptor, descriptors, measure, measures

GROUPS = ("Measures of representations", "Measures of predictions", "Descriptors of one representation")


def _printed(*arguments, columns=None):
    environment = {} if columns is None else {"COLUMNS": str(columns), "TTY_COMPATIBLE": "1"}
    found = CliRunner().invoke(app, ["measures", *arguments], catch_exceptions=False, env=environment)
    assert found.exit_code == 0
    return re.sub("\x1b\\[[0-9;]*m", "", found.stdout)


@pytest.mark.parametrize("columns", [None, 100, 80])
def test_every_name_is_listed_once_in_its_group_and_no_word_is_cut(columns):
    printed = _printed(columns=columns)
    starts = [line.split()[0] for line in printed.splitlines() if line and not line.startswith(" ")]
    for name in [*measures(), *descriptors()]:
        assert starts.count(name) == 1, name
    at = [printed.index(group) for group in GROUPS]
    assert at == sorted(at)
    assert (
        at[0]
        < printed.index("\ncka ")
        < at[1]
        < printed.index("\nkl_divergence ")
        < at[2]
        < printed.index("\nisotropy ")
    )
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed
    if columns:
        assert max(map(len, printed.splitlines())) <= columns
    assert ("debiased" in printed) is (columns != 80), "titles where there is room"


def test_rows_of_the_table_say_direction_range_invariance_and_streaming():
    rows = {line.split()[0]: line for line in _printed().splitlines() if line and not line.startswith(" ")}
    assert "similarity 0 to 1 " in rows["cka"]
    assert "rotation, scaling, translation  " in rows["cka"]
    assert rows["cka"].rstrip().endswith("exactly")
    assert "distance from 0" in rows["kl_divergence"]
    assert rows["kl_divergence"].rstrip().endswith("no")


def test_one_in_full_has_its_cost_source_and_what_it_needs():
    full = _printed("cka")
    m = measure("cka")
    for text in (m.title, m.description, m.cost, m.reference, "similarity 0 to 1", "-1 to 1", "exactly"):
        assert text in full
    full = _printed("kl_divergence")
    assert "no: it needs logits" in full
    assert "not symmetric: the base comes first" in full
    assert "the same number" in _printed("cosine")
    full = _printed("uniformity")
    assert descriptor("uniformity").reference in full
    assert "streams" not in full


def test_verbose_is_every_one_in_full():
    printed = _printed("-v")
    assert all(_printed(name) in printed for name in ("cka", "disagreement", "isotropy"))
    assert all(f"\n{name}: " in printed for name in [*measures(), *descriptors()])


def test_an_unknown_name_is_one_line_with_the_nearest(capsys):
    with pytest.raises(SystemExit, match="1"):
        main(["measures", "kl_divergance"])
    assert "unknown measure or descriptor 'kl_divergance'. Did you mean 'kl_divergence'?" in capsys.readouterr().err


def test_json_has_everything_and_no_infinity():
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    rows = {row["name"]: row for row in json.loads(_printed("--json"), parse_constant=refuse)}
    assert list(rows) == [*measures("representations"), *measures("predictions"), *descriptors()]
    assert len({tuple(row) for row in rows.values()}) == 1, "one set of keys"
    assert rows["cka"] == {
        "name": "cka",
        "kind": "measure",
        "title": "CKA, linear, debiased",
        "description": measure("cka").description,
        "bounds": [0.0, 1.0],
        "estimate_bounds": [-1.0, 1.0],
        "reference": measure("cka").reference,
        "invariances": sorted(measure("cka").invariances),
        "cost": measure("cka").cost,
        "higher_is_similar": True,
        "symmetric": True,
        "inputs": "representations",
        "same_width": False,
        "streaming": "exact",
        "needs_more_samples": False,
        "self_value": 1.0,
    }
    assert rows["kl_divergence"]["bounds"] == [0.0, None]
    assert rows["kl_divergence"]["inputs"] == "predictions"
    assert rows["isotropy"]["kind"] == "descriptor"
    assert rows["isotropy"]["symmetric"] is None
    assert json.loads(_printed("cka", "--json")) == [rows["cka"]]
