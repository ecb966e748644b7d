"""The files of outcomes: whole or not at all, and never taken for those of another key."""

import numpy as np
import pandas as pd
import pytest

from repdrift.core.errors import CorruptSetError, NonFiniteError, ShapeError
from repdrift.core.records.outcomes import ITEM_COLUMNS, OutcomeInfo, RunOutcomes
from repdrift.outcomes import outcome_files
from repdrift.outcomes.outcome import MeasuredItems
from repdrift.outcomes.outcome_files import existing_items, items_table, no_items, read_items, write_items

INFO = OutcomeInfo(name="accuracy", title="accuracy", unit="share of rows", higher_is_better=True)


class Run:
    """What a table of items says of its run."""

    task, method, seed, step = "sst2", "lora", 1, 0


def measured(n=6, **changes):
    fields = {
        "info": INFO, "inputs": "task", "ids": [f"row {i}" for i in range(n)], "values": np.arange(n) % 2.0, "layer": None,
    }  # fmt: skip
    return MeasuredItems(**(fields | changes))


def record(key="k", **changes):
    fields = {
        "name": "task_scores", "key": key, "task": "sst2", "method": "lora", "seed": 1, "step": 0, "outcomes": [INFO], "weights_digest": "w",
        "base_weights_digest": "b", "sample_set_fingerprint": "s", "options": {}, "n_items": 0, "created": "now", "versions": {},
    }  # fmt: skip
    return RunOutcomes(**(fields | changes))


def test_items_are_read_as_they_were_written(tmp_path):
    layered = measured(info=INFO.model_copy(update={"name": "probe"}), layer=3, groups=list("aabbcc"))
    with_base = measured(base_values=np.full(6, 0.25), weights=np.arange(1.0, 7.0))
    table = items_table(Run, [with_base, layered])
    written = write_items(tmp_path, record(), table)
    assert existing_items(tmp_path, "task_scores", "k") == written
    found = read_items(tmp_path, written)
    pd.testing.assert_frame_equal(found, table)
    assert list(found.columns) == list(ITEM_COLUMNS)
    assert written.n_items == 12
    assert found["layer"].isna().sum() == 6
    assert set(found["group"]) == {"", "a", "b", "c"}
    assert found["base_value"].isna().sum() == 6


def test_the_same_items_have_the_same_bytes(tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_items(folder, record(), items_table(Run, [measured()]))
    names = ["task_scores.parquet", "task_scores.json"]
    assert [(tmp_path / "a" / n).read_bytes() for n in names] == [(tmp_path / "b" / n).read_bytes() for n in names]


def test_another_key_or_kind_is_not_taken(tmp_path, capsys):
    write_items(tmp_path, record(), items_table(Run, [measured()]))
    assert existing_items(tmp_path, "task_scores", "other") is None
    assert "is of other weights, samples or options: measuring anew" in capsys.readouterr().err
    assert existing_items(tmp_path, "probes", "k") is None


@pytest.mark.parametrize("damage", ["gone", "cut", "bit", "other items"])
def test_damaged_items_are_never_read(tmp_path, damage, capsys):
    written = write_items(tmp_path, record(), items_table(Run, [measured()]))
    path = tmp_path / "task_scores.parquet"
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-9])
    elif damage == "bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        write_items(tmp_path / "other", record(), items_table(Run, [measured(values=np.ones(6))]))
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
    with pytest.raises(CorruptSetError, match=r"task_scores\.parquet.*Run `repdrift evaluate` again"):
        read_items(tmp_path, written)
    assert existing_items(tmp_path, "task_scores", "k") is None
    assert "Measuring anew" in capsys.readouterr().err


@pytest.mark.parametrize("killed_in", ["atomic_path", "write_together"])
def test_a_writer_that_is_killed_leaves_nothing_that_counts(tmp_path, monkeypatch, killed_in):
    write_items(tmp_path, record("old"), items_table(Run, [measured()]))
    new = items_table(Run, [measured(values=np.ones(6))])

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(outcome_files, killed_in, killed)
        write_items(tmp_path, record("new"), new)
    assert existing_items(tmp_path, "task_scores", "new") is None
    assert existing_items(tmp_path, "task_scores", "old") is None, "its items may be gone already"
    again = write_items(tmp_path, record("new"), new)
    pd.testing.assert_frame_equal(read_items(tmp_path, again), new)


def test_an_outcome_that_does_not_apply_has_a_record_and_no_items(tmp_path):
    write_items(tmp_path, record(), items_table(Run, [measured()]))
    written = write_items(tmp_path, record("none"), no_items())
    assert [p.name for p in tmp_path.iterdir()] == ["task_scores.json"]
    assert existing_items(tmp_path, "task_scores", "none") == written
    assert read_items(tmp_path, written).empty


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"values": np.ones(5)}, ShapeError, r"values should be \(6,\)"),
        ({"base_values": np.ones(7)}, ShapeError, "base values should be"),
        ({"groups": ["a"]}, ShapeError, "1 groups for 6 items"),
        ({"ids": ["a"] * 6}, ShapeError, "there twice"),
        ({"values": np.array([0, 1, np.nan, 0, 0, 0])}, NonFiniteError, "the value of item 'row 2' is nan"),
        ({"base_values": np.array([0, np.inf, 0, 0, 0, 0])}, NonFiniteError, "the base value of item 'row 1' is inf"),
    ],
)
def test_items_that_do_not_fit_together_are_refused(changes, error, said):
    with pytest.raises(error, match=said):
        measured(**changes)
