import pytest

from repdrift.core.errors import ConfigError, DataError
from repdrift.tasks import Rows, TaskSpec, task
from repdrift.training.class_labels import class_labels

SPEC = TaskSpec("own", "classification", ("text",), "y", "own")


def _rows(*labels):
    return Rows([{"text": f"the cat {i}", "y": y} for i, y in enumerate(labels)], "some file")


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        ((60001, 60000, 60001), (60000, 60001)),
        ((1, -1), (-1, 1)),
        ((10, 9, 2, 2), (2, 9, 10)),
        (("b", "a"), ("a", "b")),
        ((True, False), (False, True)),
    ],
)
def test_classes_are_the_distinct_labels_sorted(labels, values):
    found = class_labels(SPEC, _rows(*labels), _rows(labels[0]))
    assert found.values == values
    assert found == class_labels(SPEC, _rows(*reversed(labels)), _rows(labels[1]))
    assert [row["y"] for row in found.numbered(_rows(*labels).rows)] == [values.index(label) for label in labels]
    assert f"{values[0]!r} (" in found.said


def test_named_classes_keep_their_numbers():
    rows = Rows([{"sentence": "the cat", "label": 1, "idx": 0}], "some file")
    found = class_labels(task("sst2"), rows, rows)
    assert found.values == ("negative", "positive"), "fixed, though one is not there"
    assert found.numbered(rows.rows) == rows.rows


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ((0, 1), (0, 2), r"validation has classes that training lacks: 2 .*0, 1"),
        ((0, 1), ("a", "b"), "different kinds"),
        ((0, 1), (True, False), "different kinds"),
        (
            (3, 4, 5),
            (5,),
            "no two training rows of some file have the same label in column 'y' .3, 4, 5.; a class is what",
        ),
        ((5, 5), (5,), "every training row .* has the label 5 .*two classes"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(train, validation, message):
    with pytest.raises(DataError, match=message):
        class_labels(SPEC, _rows(*train), _rows(*validation))


def test_task_without_labels_is_not_trained_on():
    with pytest.raises(ConfigError, match="no label column"):
        class_labels(TaskSpec("own", "classification", ("text",), None, "own"), _rows(0), _rows(0))
