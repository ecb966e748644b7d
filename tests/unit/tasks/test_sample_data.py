import importlib.util
import sys
from pathlib import Path

import pytest

from repdrift.tasks import load_rows, task, tasks

ROOT = Path(__file__).parents[3]
PACKAGED = ROOT / "src/repdrift/tasks/samples"
SPLITS = ("train", "validation")


def _rows(name, split):
    return load_rows(task(name), split, data_dir="sample").rows


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script adds its own folder
    spec = importlib.util.spec_from_file_location("make_sample_data", ROOT / "scripts/make_sample_data.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.mark.parametrize("name", tasks())
def test_sample_has_no_row_twice_and_no_text_of_a_pair_in_both_splits(name):
    spec = task(name)
    texts = {split: [tuple(str(row[c]) for c in spec.text_columns) for row in _rows(name, split)] for split in SPLITS}
    assert len(set(texts["train"])) == len(texts["train"]) >= 200
    assert len(set(texts["validation"])) == len(texts["validation"]) >= 80
    for column in zip(*texts["train"], strict=True):
        assert not set(column) & {text for row in texts["validation"] for text in row}


@pytest.mark.parametrize("name", ["sst2", "mrpc", "rte"])
@pytest.mark.parametrize("split", SPLITS)
def test_classes_are_balanced(name, split):
    labels = [row["label"] for row in _rows(name, split)]
    assert sum(labels) * 2 == len(labels)


@pytest.mark.parametrize("split", SPLITS)
def test_about_two_questions_in_five_have_no_answer(split):
    rows = _rows("squad_v2", split)
    assert 0.3 <= sum(not row["answers"]["text"] for row in rows) / len(rows) <= 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_stands_where_its_offset_says(split):
    for row in _rows("squad_v2", split):
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text


@pytest.mark.parametrize("split", SPLITS)
def test_the_side_of_a_sentence_says_nothing_of_a_paraphrase(split):
    """Both labels have the same wordings on each side, so that a model must read both sentences."""
    rows = _rows("mrpc", split)
    starts = [
        {row[c].split()[0] for row in rows if row["label"] == label}
        for label in (0, 1)
        for c in ("sentence1", "sentence2")
    ]
    assert all(len(starts[0] & other) >= 5 for other in starts[1:])


def test_validation_has_phrases_of_its_own(script):
    """A score on validation rows is of texts whose parts were not trained on."""
    reviews, events, passages = script.reviews, script.events, script.passages
    phrases = {
        split: {
            *reviews.SUBJECTS[split],
            *(phrase for sides in reviews.SUBJECTS[split].values() for side in sides for phrase in side),
            *(wording for event in events.FRAMES[split] for wording in event),
            *events.NAMES[split],
            *events.TOWNS[split],
            *events.COUNTS[split],
            *events.DAYS[split],
            *(passage for passage, _ in passages.PASSAGES[split]),
            *(question for _, questions in passages.PASSAGES[split] for question, _ in questions),
        }
        for split in SPLITS
    }
    assert not phrases["train"] & phrases["validation"]
    assert all(not set(train) & set(validation) for train, validation in passages.SLOTS.values())


def test_generator_gives_the_packaged_bytes(tmp_path, script):
    script.main(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.jsonl"))
    packaged = sorted(path.relative_to(PACKAGED) for path in PACKAGED.rglob("*.jsonl"))
    assert made == [path for path in packaged if path.parts[0] != "general_text"], "general text was written by hand"
    for path in made:
        assert (tmp_path / path).read_bytes() == (PACKAGED / path).read_bytes(), path
    assert sum((PACKAGED / path).stat().st_size for path in made) < 400_000


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_chat_has_an_answer_last_and_the_splits_share_no_book(split):
    rows = load_rows(task("short_chats"), split, data_dir="sample").rows
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}
    assert len({len(row["messages"]) for row in rows}) > 2
    other = load_rows(task("short_chats"), "validation" if split == "train" else "train", data_dir="sample").rows
    answers, theirs = (
        {turn["content"] for row in part for turn in row["messages"] if "shelf" in turn["content"]}
        for part in (rows, other)
    )
    assert answers
    assert not answers & theirs


def test_question_answering_in_words_reads_the_same_file_as_spans_do():
    words, spans = (
        load_rows(task(name), "validation", data_dir="sample").rows for name in ("squad_v2_words", "squad_v2")
    )
    assert [row["answers"] for row in words] == [row["answers"]["text"] or ["unanswerable"] for row in spans]
