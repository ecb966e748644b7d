"""Words and their tokens, by hand: emoji, Chinese, combining marks, contractions, leading spaces, cut texts and pairs."""

import pytest

from repdrift.core.errors import DataError
from repdrift.tasks.spec import TaskSpec
from repdrift.tasks.word_tokens import word_tokens, words_in

ONE = TaskSpec("t", "classification", ("text",), None, "T")
TWO = TaskSpec("t", "classification", ("a", "b"), None, "T")


def _byte_level():
    """A byte-level tokenizer that makes one token of each byte: a leading space is part of no word, an emoji is four tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def _pieces():
    """A tokenizer of whole words between spaces, with its special tokens around them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't stop", ["don't", "stop"]), ("  leading  spaces ", ["leading", "spaces"]), ("我爱 x", ["我", "爱", "x"]),
        ("cafe\u0301 ok", ["cafe\u0301", "ok"]), ("hi 👩\u200d👩\u200d👧!", ["hi", "👩\u200d👩\u200d👧"]), ("a-b, 3.14 ...", ["a", "b", "3.14"]),
        ("", []), (" \n\t", []), ("!?", []),
    ],
)  # fmt: skip
def test_words_are_those_of_unicode_without_punctuation(text, words):
    assert [text[word.start : word.end] for word in words_in(text)] == words


def _by_text(tokenizer, text, keep=None):
    ids = tokenizer(text)["input_ids"]
    found = word_tokens({"text": text}, ONE, tokenizer, ids if keep is None else ids[:keep])
    return {text[w.start : w.end]: tokens for w, tokens in found.tokens.items()}, found


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (" ab don't", {"ab": (1, 2), "don't": (4, 5, 6, 7, 8)}),  # token 0 and 3 are spaces
        ("我 b", {"我": (0, 1, 2), "b": (4,)}),  # three bytes
        ("é e\u0301", {"é": (0, 1), "e\u0301": (3, 4, 5)}),
        ("👍🏽 x", {"👍🏽": tuple(range(8)), "x": (9,)}),
    ],
)
def test_tokens_of_bytes_belong_to_the_word_that_they_lie_in(text, tokens):
    found, _ = _by_text(_byte_level(), text)
    assert found == tokens


def test_a_token_over_two_words_belongs_to_both_and_special_tokens_to_none():
    found, _ = _by_text(_pieces(), "我爱 you're-here")
    assert found == {"我": (1,), "爱": (1,), "you're": (2,), "here": (2,)}


def test_words_that_were_cut_are_counted_and_half_a_word_is_none():
    found, all_of_it = _by_text(_byte_level(), "ab cdef gh", keep=5)
    assert found == {"ab": (0, 1)}
    assert (all_of_it.cut, all_of_it.without) == (2, 0)


def test_pairs_keep_their_columns_with_and_without_a_separator():
    row = {"a": "one two", "b": "two x"}
    pieces = _pieces()
    found = word_tokens(row, TWO, pieces, pieces(row["a"], row["b"])["input_ids"]).tokens
    assert {(w.column, w.start): tokens for w, tokens in found.items()} == {
        (0, 0): (1,),
        (0, 4): (2,),
        (1, 0): (4,),
        (1, 4): (5,),
    }
    bytes_ = _byte_level()
    joined = word_tokens(row, TWO, bytes_, bytes_("one two\ntwo x")["input_ids"]).tokens
    assert {(w.column, w.start): tokens for w, tokens in joined.items()} == {
        (0, 0): (0, 1, 2), (0, 4): (4, 5, 6), (1, 0): (8, 9, 10), (1, 4): (12,),
    }  # fmt: skip


def test_tokenizer_without_offsets_is_refused_with_the_next_step():
    class Slow:
        is_fast = False

    with pytest.raises(DataError, match=r"\(Slow\) gives no character offsets.*a row for each text"):
        word_tokens({"text": "a"}, ONE, Slow(), [1])


def test_templates_have_no_words():
    spec = TaskSpec("t", "causal_lm", ("text",), "label", "T")
    with pytest.raises(DataError, match="put together by a template"):
        word_tokens({"text": "a", "label": "b"}, spec, _byte_level(), [1])
