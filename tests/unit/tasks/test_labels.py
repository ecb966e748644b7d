import json

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import TaskSpec, load_rows


def _labels(tmp_path, labels, *, csv=False, names=None):
    path = tmp_path / ("x.csv" if csv else "x.jsonl")
    if csv:
        path.write_text("text,y\n" + "".join(f"the cat {i},{label}\n" for i, label in enumerate(labels)))
    else:
        path.write_text("".join(json.dumps({"text": f"the cat {i}", "y": y}) + "\n" for i, y in enumerate(labels)))
    spec = TaskSpec("own", "classification", ("text",), "y", "own", label_names=names, files={"validation": path})
    return [row["y"] for row in load_rows(spec, "validation").rows]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([60000, 60001, 60000], [60000, 60001, 60000]),
        ([-1, 1, -1], [-1, 1, -1]),
        ([-1, 0, 1], [-1, 0, 1]),
        ([1.0, 0.0, 2.0], [1, 0, 2]),
        (["pos", "neg ", "pos"], ["pos", "neg", "pos"]),
        ([True, False, True], [True, False, True]),
        (["0", 1, "2.0"], [0, 1, 2]),
        (["007", "7", "07"], ["007", "7", "07"]),
    ],
)
def test_classes_are_read_as_they_are_written(tmp_path, written, read):
    found = _labels(tmp_path, written)
    assert found == read
    assert list(map(type, found)) == list(map(type, read))


def test_every_value_of_a_csv_file_is_a_text(tmp_path):
    assert _labels(tmp_path, [0, 1, "1.0"], csv=True) == [0, 1, 1]
    assert _labels(tmp_path, ["true", "false", "true"], csv=True) == ["true", "false", "true"]
    with pytest.raises(DataError, match="line 3: .*of one kind.*got '0.5', and '0' in line 2. Scores are no classes"):
        _labels(tmp_path, [0, 0.5, 1], csv=True)
    with pytest.raises(DataError, match=r"line 3: column 'y' should hold a class, got none .'NaN'"):
        _labels(tmp_path, [0, "NaN", 1], csv=True)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([0, None, 1], "line 2: column 'y' should hold a class, got none"),
        ([0, float("nan"), 1], "line 2: column 'y' should hold a class, got none"),
        ([0, 0.5, 1], "line 2: column 'y' should hold classes of one kind .*got 0.5.*Scores are no classes"),
        ([0, "good", 1], "line 2: .*of one kind.*got 'good', and 0 in line 1"),
        ([0, True, 1], "line 2: .*of one kind.*got True"),
        ([0, [1], 1], "line 2: column 'y' should hold one class, got .1. .list"),
        ([-1, -1, -1], "holds -1 in every row, which stands for .no label"),
        ([0, 1, 2, -1], "holds -1 in 1 rows, beside classes from 0"),
    ],
)
def test_what_is_no_class_is_named(tmp_path, written, message):
    with pytest.raises(DataError, match=message):
        _labels(tmp_path, written)


def test_named_classes_are_numbers_or_names(tmp_path):
    assert _labels(tmp_path, ["yes", 0, "1", 1.0], names=("no", "yes")) == [1, 0, 1, 1]
    for wrong in ("maybe", 2, True, -1):
        with pytest.raises(DataError, match="line 1: column 'y' should be 0 to 1"):
            _labels(tmp_path, [wrong], names=("no", "yes"))
