"""Windows over long contexts and the spans in them, held to references that are written out by brute force."""

import itertools

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from repdrift.core.errors import DataError, ModelError
from repdrift.tasks import task
from repdrift.training.features import PaddingCollator
from repdrift.training.task_kinds import question_answering
from repdrift.training.task_kinds.question_answering import QuestionAnsweringProcessor

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,?-$中文猫在河邊睡覺誰"


def encoder_tokenizer(**options):
    """WordPiece over single letters, lower-cased and without accents, as a BERT of several languages has it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"], **options,
    )  # fmt: skip


def decoder_tokenizer(*, adds_end: bool = False, end: str | None = "<end>", trim_offsets: bool = True):
    """Byte-level BPE without merges: a letter outside ASCII is several tokens, all of them at the place of that letter."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({p: i for i, p in enumerate([*alphabet, "<end>"])}, []))
    tokenizer.add_special_tokens(["<end>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    byte_level = processors.ByteLevel(trim_offsets=trim_offsets)
    ends = processors.TemplateProcessing(single="$A <end>", pair="$A $B <end>", special_tokens=[("<end>", 256)])
    tokenizer.post_processor = processors.Sequence([byte_level, ends]) if adds_end else byte_level
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end)


TOKENIZERS = {
    "encoder": encoder_tokenizer(), "encoder that cuts at the left": encoder_tokenizer(truncation_side="left"), "decoder": decoder_tokenizer(),
    "decoder that adds an end": decoder_tokenizer(adds_end=True), "decoder with spaces in its places": decoder_tokenizer(trim_offsets=False),
}  # fmt: skip


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def processor_of(tokenizer, max_length=40, stride=8, share=0.0):
    return QuestionAnsweringProcessor(
        task("squad_v2"), tokenizer, PaddingCollator(0), max_length, stride, null_threshold_share=share
    )


def row_of(context, *answers, question="who?"):
    """answers: texts, each at its first place in the context, or pairs of a text and its place."""
    pairs = [a if isinstance(a, tuple) else (a, context.index(a)) for a in answers]
    return {
        "id": context[:9], "question": question, "context": context,
        "answers": {"text": [t for t, _ in pairs], "answer_start": [p for _, p in pairs]},
    }  # fmt: skip


CONTEXTS = [
    "the cat sat on the river bank and the dog slept near the old mill by the sea all day long.",
    "猫在河邊睡覺。文中的猫在河邊睡覺文中的猫在河邊睡覺文中的猫在河邊睡覺文中的猫",
    "cafe\u0301 au lait, cre\u0300me bru\u0302le\u0301e and a 🐈 cost $5 each; the 🐈\u200d⬛ sat. " * 2,
]


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(("max_length", "stride"), [(40, 8), (40, 1), (33, 25), (400, 8)])
def test_windows_are_those_of_a_loop_over_the_tokens(tokenizer, context, max_length, stride):
    processor = processor_of(tokenizer, max_length, stride)
    features = processor.features([row_of(context)])
    if tokenizer.cls_token is not None:
        tokens = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
        room = max_length - len(tokenizer("who?", add_special_tokens=False)["input_ids"]) - 3
        stride = min(stride, max_length // 2)
    else:
        tokens = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
        room = max_length - len("who?\n") - 1
        stride = min(stride, room // 2)
    ids, spans = tokens["input_ids"], [tuple(span) for span in tokens["offset_mapping"]]
    starts = [0]
    while starts[-1] + room < len(ids):
        starts.append(starts[-1] + room - stride)
    expected = [(ids[s : s + room], spans[s : s + room]) for s in starts]
    if tokenizer.truncation_side == "left":  # the same from the other end
        backward = [len(ids) - s for s in starts]
        expected = [(ids[max(0, e - room) : e], spans[max(0, e - room) : e]) for e in backward]
    found = []
    for feature in features:
        inside = [i for i, span in enumerate(feature["offsets"]) if span is not None]
        found.append(([feature["input_ids"][i] for i in inside], [feature["offsets"][i] for i in inside]))
    assert sorted(found) == sorted(expected)
    assert all(len(feature["input_ids"]) <= max_length for feature in features)


@pytest.mark.parametrize("context", CONTEXTS)
def test_target_is_the_answer_wherever_a_window_holds_it_whole(tokenizer, context):
    letters = [c for c in context if not c.isspace()]
    whole = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    tokens = {c for begin, end in whole for c in range(begin, end)}
    for length, start in itertools.product((1, 4, 7), range(0, len(letters) - 9, 7)):
        at = context.index(letters[start], start)
        answer = context[at : at + length]
        if not any(c in tokens for c in range(at, at + length)):
            continue  # an accent alone
        features = processor_of(tokenizer, 64, 31).features([row_of(context, (answer, at))])
        held = [f for f in features if f["start_positions"] != f["null_position"]]
        assert held, "some window holds it whole"
        for feature in features:
            spans = [span for span in feature["offsets"] if span is not None and span[1] > span[0]]
            seen = {c for begin, end in spans for c in range(begin, end)}
            assert (feature in held) == all(c in seen or c not in tokens for c in range(at, at + length))
        for feature in held:
            begin, end = feature["offsets"][feature["start_positions"]], feature["offsets"][feature["end_positions"]]
            assert {c for c in range(at, at + length) if c in tokens} <= set(range(begin[0], end[1]))
            assert end[1] - begin[0] <= length + 8, "a token may be wider than the answer"


@pytest.fixture
def random_logits(monkeypatch):
    """Logits at random for each feature, in place of a model's; the features and logits of the last call are kept."""
    kept = {}

    def predict(model, features, *_, **__):
        g = torch.Generator().manual_seed(7)
        kept["features"] = features
        kept["logits"] = [tuple(torch.randn(2, len(f["input_ids"]), generator=g)) for f in features]
        return kept["logits"]

    monkeypatch.setattr(question_answering, "predict", predict)
    return kept


def test_prediction_is_the_best_of_all_spans_of_all_windows(tokenizer, random_logits):
    rows = [row_of(context) for context in CONTEXTS]
    processor = processor_of(tokenizer)
    scored = processor.evaluate(torch.nn.Linear(1, 1), rows)
    features, logits = random_logits["features"], random_logits["logits"]
    for number, row in enumerate(rows):
        best, text = -np.inf, ""
        for feature, (start, end) in zip(features, logits, strict=True):
            if feature["row"] != number:
                continue
            inside = [i for i, span in enumerate(feature["offsets"]) if span is not None]
            null = float(start[feature["null_position"]] + end[feature["null_position"]])
            for i, j in itertools.product(inside, inside):
                if i <= j < i + 30 and float(start[i] + end[j]) - null > best:
                    best = float(start[i] + end[j]) - null
                    text = row["context"][feature["offsets"][i][0] : feature["offsets"][j][1]]
        assert best > 0, "among so many spans one beats no answer"
        assert scored.items[number] == 0, "the questions have no answer"
        margins, texts = processor._best_answers(torch.nn.Linear(1, 1), rows)
        assert margins[number] == pytest.approx(best, abs=1e-5)
        assert texts[number].rstrip("\u0300\u0301\u0302") == text.rstrip("\u0300\u0301\u0302")


def test_context_without_tokens_has_no_answer(tokenizer, random_logits):
    rows = [{**row_of(CONTEXTS[0]), "context": ""}, row_of(CONTEXTS[0])]
    scored = processor_of(tokenizer).evaluate(torch.nn.Linear(1, 1), rows)
    assert scored.items.tolist() == [1, 0]
    assert random_logits["features"][0]["row"] == 0


def test_window_takes_the_first_accepted_answer_that_it_holds_whole():
    context = CONTEXTS[0]
    features = processor_of(TOKENIZERS["encoder"]).features([row_of(context, "sea all day", "cat")])
    found = {
        context[f["offsets"][f["start_positions"]][0] : f["offsets"][f["end_positions"]][1]]
        for f in features
        if f["start_positions"] != f["null_position"]
    }
    assert found == {"sea all day", "cat"}


def test_answers_that_no_window_holds_whole_teach_nothing_and_are_counted(random_logits):
    processor = processor_of(TOKENIZERS["encoder"], max_length=24, stride=2)
    rows = [row_of(CONTEXTS[0], "sat on the river bank and the dog"), row_of(CONTEXTS[0], "cat"), row_of(CONTEXTS[0])]
    features = processor.features(rows)
    assert {f["row"] for f in features} == {1, 2}
    scored = processor.evaluate(torch.nn.Linear(1, 1), rows)
    assert scored.n_train == 2
    assert "1 training question left out, since no window of 24 tokens holds an answer whole." in scored.notes[-1]
    assert random_logits
    with pytest.raises(DataError, match=r"no training row is left: 1 training question left out.*larger max_length"):
        processor.features(rows[:1])


def test_answers_that_do_not_stand_at_their_places_are_never_trained_on(tokenizer, random_logits):
    context = CONTEXTS[0]
    rows = [row_of(context, ("cat", 3)), row_of(context, ("cat", 3), "dog"), row_of(context, "cat"), row_of(context)]
    processor = processor_of(tokenizer)
    features = processor.features(rows)
    assert {f["row"] for f in features} == {1, 2, 3}, "and the first is not taught as a question without an answer"
    targets = {
        (f["row"], context[f["offsets"][f["start_positions"]][0] : f["offsets"][f["end_positions"]][1]].strip())
        for f in features
        if f["start_positions"] != f["null_position"]
    }
    assert targets == {(1, "dog"), (2, "cat")}
    scored = processor.evaluate(torch.nn.Linear(1, 1), rows)
    assert scored.n_train == 3
    assert any("1 training question left out, since no answer stands at its place" in note for note in scored.notes)
    assert random_logits


def test_decoder_without_an_end_token_is_refused():
    with pytest.raises(ModelError, match="has no end token, which stands for 'no answer'"):
        processor_of(decoder_tokenizer(end=None)).features([row_of(CONTEXTS[0])])
