import pytest

from repdrift.core.errors import DataError
from repdrift.core.length_limit import LengthLimit
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import TaskSpec, build_sample_set, effective_max_length, task
from repdrift.tasks.encoding import length_notes

TABLE = LengthLimit(64, 64, "its position table has 64 rows")
ROTARY = LengthLimit(None, 64)


@pytest.fixture
def tokenizer(tiny_bert):
    return load_tokenizer(resolve_model(str(tiny_bert)))


@pytest.fixture
def decoder_tokenizer(tiny_llama):
    return load_tokenizer(resolve_model(str(tiny_llama)))


def _texts(*texts):
    return [{"idx": i, "sentence": text, "label": 0} for i, text in enumerate(texts)]


def test_decoder_pairs_are_kept_apart(decoder_tokenizer):
    spec = TaskSpec("pairs", "classification", ("a", "b"), None, "pairs")
    rows = [
        {"a": "the cat", "b": "sat"},
        {"a": "the", "b": "cat sat"},
        {"a": "dog", "b": "ran"},
        {"a": "bird", "b": "flew"},
    ]
    samples = build_sample_set(spec, rows, decoder_tokenizer, max_length=16)
    ends = [decoder_tokenizer(text)["input_ids"] for text in ("the cat sat", "the\ncat sat")]
    assert list(samples.input_ids[1]) == ends[1]


def test_more_tokens_than_the_model_has_positions_for_are_refused(tokenizer):
    with pytest.raises(
        DataError, match=r"max_length 65 is more than the model's maximum of 64 tokens \(its position table"
    ):
        effective_max_length(tokenizer, TABLE, 65)
    assert effective_max_length(tokenizer, TABLE, 64) == 64
    assert effective_max_length(tokenizer, ROTARY, 65) == 65
    with pytest.raises(DataError, match="at least 1 token"):
        effective_max_length(tokenizer, ROTARY, 0)


def test_maximum_of_the_tokenizer_is_advice(tokenizer):
    tokenizer.model_max_length = 32
    assert effective_max_length(tokenizer, TABLE, None) == 32
    assert effective_max_length(tokenizer, TABLE, 50) == 50
    assert "names 32 as the most" in length_notes([40, 8], 0, tokenizer, TABLE)[0]
    assert length_notes([32, 8], 0, tokenizer, TABLE) == []
    tokenizer.model_max_length = int(1e30)
    assert effective_max_length(tokenizer, LengthLimit(), None) == 512


def test_samples_beyond_what_was_trained_are_said(tokenizer):
    assert length_notes([64], 0, tokenizer, ROTARY) == []
    (note,) = length_notes([64, 65, 90], 0, tokenizer, ROTARY)
    assert note.startswith("2 of 3 samples are longer than the 64 tokens")
    assert "the longest has 90" in note


def test_texts_cut_at_their_beginning_are_said(tokenizer):
    tokenizer.truncation_side = "left"
    rows = _texts("the cat sat on the bridge", *["a dog ran"] * 3)
    samples = build_sample_set(task("sst2"), rows, tokenizer, max_length=5)
    assert list(samples.input_ids[0]) == tokenizer("on the bridge")["input_ids"]
    assert any("the beginning was cut off" in note for note in samples.notes)


def test_sample_without_tokens_is_named_by_id_and_row(decoder_tokenizer):
    with pytest.raises(DataError, match=r"sample '2' \(row 3 of those read\): the text '' has no tokens"):
        build_sample_set(task("sst2"), _texts("the cat", "a dog", "", "a bird"), decoder_tokenizer, max_length=8)


def test_samples_of_special_tokens_alone_and_unknown_words_are_said(tokenizer):
    samples = build_sample_set(task("sst2"), _texts("the cat", "", "zzz yyy xxx", "[SEP]"), tokenizer, max_length=8)
    assert any(
        n.startswith("2 of 4 samples have no token of their own") and "'1' (row 2 of those read)" in n
        for n in samples.notes
    )
    assert any(n.startswith("3 of 14 tokens are '[UNK]'") for n in samples.notes)
    samples = build_sample_set(
        task("sst2"), _texts("the zzz cat", "a dog", "a bird", "a river"), tokenizer, max_length=8
    )
    assert samples.notes == ()


@pytest.mark.parametrize("kind", ["tokenizer", "decoder_tokenizer"])
def test_question_longer_than_the_input_is_left_out_and_counted(kind, request):
    spec = TaskSpec("qa", "extractive_qa", ("question", "context"), None, "questions", id_column="id")
    rows = [
        {"id": f"q{i}", "question": "what " * (30 if i in (2, 4) else 2), "context": "the cat sat " * 9}
        for i in range(8)
    ]
    samples = build_sample_set(spec, rows, request.getfixturevalue(kind), max_length=16)
    assert samples.sample_ids == ("q0", "q1", "q3", "q5", "q6", "q7")
    (note,) = [note for note in samples.notes if "left out" in note]
    assert note.startswith(
        "2 of 8 samples were left out; the first: sample 'q2' (row 3 of those read): the question alone fills the 16 tokens"
    )
    with pytest.raises(DataError, match="5 of 8 samples cannot be used, and 3 are left"):
        long = [row | ({"question": "what " * 30} if i < 5 else {"question": "what"}) for i, row in enumerate(rows)]
        build_sample_set(spec, long, request.getfixturevalue(kind), max_length=16)


@pytest.mark.parametrize("kind", ["tokenizer", "decoder_tokenizer"])
def test_every_question_either_has_a_token_of_its_context_or_is_left_out(kind, request):
    spec = TaskSpec("qa", "extractive_qa", ("question", "context"), None, "questions")
    rows = [{"question": " ".join(["what"] * length), "context": "bird " * 30} for length in range(1, 20)]
    tokenizer = request.getfixturevalue(kind)
    samples = build_sample_set(spec, rows, tokenizer, max_length=16)
    bird = tokenizer("bird", add_special_tokens=False)["input_ids"][0]
    assert all(bird in ids for ids in samples.input_ids)
    assert {"tokenizer": 12, "decoder_tokenizer": 15}[kind] == len(samples)


def test_many_repeated_texts_are_said_unless_groups_hold_them_together(tokenizer):
    texts = [f"the {word} cat" for word in ("red", "big", "old", "new", "sad")]
    samples = build_sample_set(task("sst2"), _texts(*texts, texts[0], texts[1]), tokenizer, max_length=8)
    (note,) = samples.notes
    assert note.startswith(
        "2 of 7 samples have the same tokens as an earlier one, and intervals count each as one more"
    )
    assert build_sample_set(task("sst2"), _texts(*texts), tokenizer, max_length=8).notes == ()
