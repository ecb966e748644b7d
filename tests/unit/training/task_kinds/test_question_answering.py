import pytest

from repdrift.core.errors import DataError
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import load_rows, task
from repdrift.training.features import PaddingCollator
from repdrift.training.task_kinds.question_answering import QuestionAnsweringProcessor


@pytest.fixture(scope="module", params=["tiny_bert", "tiny_llama"])
def tokenizer(request):
    return load_tokenizer(resolve_model(str(request.getfixturevalue(request.param))))


def _head(tokenizer, max_length=16, stride=3):
    return QuestionAnsweringProcessor(task("squad_v2"), tokenizer, PaddingCollator(0), max_length, stride)


def test_windows_cover_the_whole_context_and_keep_the_question(tokenizer, tiny_data):
    rows = load_rows(task("squad_v2"), "train", data_dir=tiny_data).rows
    features = _head(tokenizer).features(rows)
    assert len(features) > len(rows), "some contexts need several windows"
    for number, row in enumerate(rows):
        covered = {span for f in features if f["row"] == number for span in f["offsets"] if span}
        words, start = [], 0
        for word in row["context"].split():
            start = row["context"].index(word, start)
            words.append((start, start + len(word)))
            start += len(word)
        assert covered == set(words)
    assert all(len(f["input_ids"]) <= 16 for f in features)


def test_targets_point_at_the_answer_or_at_the_null_position(tokenizer, tiny_data):
    rows = load_rows(task("squad_v2"), "train", data_dir=tiny_data).rows
    found = set()
    for feature in _head(tokenizer).features(rows):
        row = rows[feature["row"]]
        start, end = feature["start_positions"], feature["end_positions"]
        if start == feature["null_position"]:
            assert end == start
            continue
        text = row["context"][feature["offsets"][start][0] : feature["offsets"][end][1]]
        assert text == row["answers"]["text"][0]
        found.add(feature["row"])
    assert found == {i for i, row in enumerate(rows) if row["answers"]["text"]}, "every answer stands in some window"


def test_null_position_is_first_for_an_encoder_and_last_for_a_decoder(tiny_bert, tiny_llama, tiny_data):
    rows = load_rows(task("squad_v2"), "train", data_dir=tiny_data).rows[:4]
    for model, position in ((tiny_bert, lambda _: 0), (tiny_llama, lambda f: len(f["input_ids"]) - 1)):
        features = _head(load_tokenizer(resolve_model(str(model)))).features(rows)
        assert all(f["null_position"] == position(f) for f in features)


def test_question_that_fills_the_window_is_refused(tiny_llama):
    tokenizer = load_tokenizer(resolve_model(str(tiny_llama)))
    row = {"question": "the cat " * 10, "context": "the dog", "answers": {"text": [], "answer_start": []}}
    with pytest.raises(DataError, match="alone fills 8 tokens"):
        _head(tokenizer, max_length=8).features([row])


def test_rows_whose_question_leaves_no_room_are_found_and_all_others_have_windows(tokenizer):
    rows = [
        {
            "question": "what " * length,
            "context": "the cat sat on the river bridge",
            "answers": {"text": [], "answer_start": []},
        }
        for length in range(1, 20)
    ]
    processor = _head(tokenizer, stride=8)
    left_out = processor.left_out(rows)
    for number, row in enumerate(rows):
        if number in left_out:
            with pytest.raises(DataError, match="alone fills 16 tokens"):
                processor.features([row])
        else:
            features = processor.features([row])  # strides longer than the room made the tokenizer panic
            words = {span for f in features for span in f["offsets"] if span}
            assert len(words) == 7, "the windows cover the context"
            assert all(len(f["input_ids"]) <= 16 for f in features)
    assert 0 not in left_out
    assert 18 in left_out
    assert left_out == list(range(left_out[0], 19))
