"""Groups of samples: read from a column, or told by a shared context; no part of what identifies a set."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks import TaskSpec, build_sample_set, load_rows, read_own_file, task
from repdrift.tasks.group_names import groups_of

TEXTS = ["one fine day", "two bad days", "three good nights", "four", "five of them", "six"]


@pytest.fixture
def tokenizer(tiny_bert):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_bert)


def written(tmp_path: Path, groups: list) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": t, "who": g}) + "\n" for t, g in zip(TEXTS, groups, strict=True)))
    return path


def grouped(spec: TaskSpec, rows) -> tuple[str, ...]:
    found = groups_of(spec, rows)
    assert found is not None
    return found


def spec_with(path: Path, **fields) -> TaskSpec:
    return TaskSpec(
        "mine", "classification", ("text",), None, "mine", files={"validation": path, "train": path}, **fields
    )


@pytest.mark.parametrize("groups", [["a", "a", "b", "b", "c", "c"], [1, 1, 2, 2, 3, 3], [1.0, 1.0, 2, 2.0, 3, 3]])
def test_a_column_names_the_groups(tmp_path, tokenizer, groups):
    spec = spec_with(written(tmp_path, groups), group_column="who")
    samples = build_sample_set(spec, load_rows(spec, "validation").rows, tokenizer, max_length=16)
    names = ("a", "b", "c") if groups[0] == "a" else ("1", "2", "3")
    assert samples.groups == tuple(name for name in names for _ in range(2))
    assert samples.part([0, 4]).groups == (names[0], names[2])
    assert "The 6 samples come from 3 groups: intervals over samples need 10 at least" in " ".join(samples.notes)


def test_groups_are_no_part_of_any_fingerprint(tmp_path, tokenizer):
    path = written(tmp_path, ["a", "a", "b", "b", "c", "c"])
    plain, grouped = spec_with(path), spec_with(path, group_column="who")
    for split in ("train", "validation"):
        assert load_rows(plain, split).fingerprint == load_rows(grouped, split).fingerprint
    sets = [
        build_sample_set(spec, load_rows(spec, "validation").rows, tokenizer, max_length=16)
        for spec in (plain, grouped)
    ]
    assert sets[0].fingerprint == sets[1].fingerprint
    assert sets[0].groups is None


@pytest.mark.parametrize(
    ("missing", "said"), [(None, "got none"), ("  ", "got '  '"), (2.5, "got 2.5"), (True, "got True"), (["a"], "got ")]
)
def test_a_row_without_a_group_is_an_error_that_names_it(tmp_path, missing, said):
    path = written(tmp_path, ["a", "a", "b", missing, "c", "c"])
    spec = spec_with(path, group_column="who")
    with pytest.raises(DataError, match="line 4: column 'who' should name the row's group") as error:
        load_rows(spec, "validation")
    assert said in str(error.value).replace("'2.5'", "2.5").replace("'True'", "True")


def test_missing_groups_of_a_csv_file_are_missing_too(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text,who\nfirst,1\nsecond,\nthird,1\nfourth,2\n")
    with pytest.raises(DataError, match="line 3: column 'who' should name the row's group, got none"):
        read_own_file(path, text_columns=["text"], group_column="who")


def test_training_rows_may_lack_the_column_and_evaluation_rows_may_not(tmp_path):
    path = written(tmp_path, ["a", "a", "b", "b", "c", "c"])
    spec = spec_with(path, group_column="speaker")
    assert load_rows(spec, "train").group_column is None
    with pytest.raises(DataError, match="column 'speaker' is not there"):
        load_rows(spec, "validation")


@pytest.mark.parametrize("name", ["squad_v2", "squad_v2_words"])
def test_questions_on_one_paragraph_are_a_group(name):
    spec = task(name)
    rows = load_rows(spec, "validation", data_dir="sample")
    groups = grouped(spec, rows.rows)
    pairs = {(group, row["context"]) for group, row in zip(groups, rows.rows, strict=True)}
    assert len(set(groups)) == len({context for _, context in pairs}) == len(pairs) < len(groups)
    assert spec.group_unit == "paragraph"
    assert rows.group_column is None  # the context is read by the model: it stays in the fingerprint


def test_other_built_in_tasks_have_no_groups():
    rows = load_rows(task("sst2"), "validation", data_dir="sample")
    assert groups_of(task("sst2"), rows.rows) is None


def test_a_question_and_its_context_in_a_file_of_ones_own(tmp_path):
    path = tmp_path / "questions.jsonl"
    rows = [{"question": f"what is {i}?", "context": f"a text on {i // 2}"} for i in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = read_own_file(path)
    groups = grouped(own.spec, own.rows.rows)
    assert own.spec.group_unit == "paragraph"
    assert [groups.index(g) for g in groups] == [0, 0, 2, 2, 4, 4]
    assert grouped(replace(own.spec, group_column="question"), own.rows.rows)[:2] != groups[:2]
