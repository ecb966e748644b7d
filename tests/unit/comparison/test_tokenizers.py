"""Tokenizers of tuned models: those that differ in settings alone are compared, those that read the texts otherwise are not."""

import json
import shutil

import pytest
import torch

from repdrift.comparison import compare
from repdrift.core.errors import DataError, ModelError
from repdrift.models import load_tokenizer, resolve_model
from tests.tiny_models import save_tuned, sentence


@pytest.fixture(scope="module")
def models(tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    return {"base": tiny_llama, "tuned": save_tuned(tiny_llama, folder / "tuned"), "folder": folder}


@pytest.fixture(scope="module")
def texts(models):
    path = models["folder"] / "texts.txt"
    path.write_text("".join(sentence(i, 5 + i % 9) + "\n" for i in range(40)))
    return path


def _copy(models, name, *, source="tuned", **settings):
    folder = models["folder"] / name
    shutil.copytree(models[source], folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def _run(models, *tuned, texts, base=None, **options):
    options = {"samples": 40, "controls": False} | options
    return compare(str(base or models["base"]), [str(t) for t in tuned], data=str(texts), **options)


def _drifts(result, number=0):
    return [at.drift for at in result.models[number].layers]


def test_smaller_maximum_of_a_tuned_tokenizer_holds_for_all_models(models, texts):
    short = _copy(models, "short", model_max_length=8)
    result = _run(models, models["tuned"], short, texts=texts)
    assert [m.status for m in result.models] == ["compared"] * 2
    (note,) = [n for n in result.data_notes if "cut at 8 tokens for all models" in n]
    assert "the tokenizer of short names no more" in note
    asked = _run(models, models["tuned"], texts=texts, max_length=8)
    assert result.tokens == asked.tokens
    assert _drifts(result) == _drifts(asked) == _drifts(result, 1)


def test_a_maximum_that_leaves_no_token_of_the_text_is_a_mistake(models, texts, tiny_bert, tuned_bert):
    short = models["folder"] / "no_room"
    shutil.copytree(tuned_bert, short)
    settings = json.loads((short / "tokenizer_config.json").read_text())
    (short / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 2}))  # [CLS] and [SEP]
    result = _run(models, short, tuned_bert, texts=texts, base=tiny_bert)
    assert _drifts(result) == _drifts(_run(models, tuned_bert, texts=texts, base=tiny_bert))


def test_length_that_was_asked_for_goes_before_the_tokenizers(models, texts):
    short = _copy(models, "short_too", model_max_length=8)
    result = _run(models, short, texts=texts, max_length=64)
    assert "names 8 tokens as the most" in result.models[0].notes[0]
    assert _drifts(result) == _drifts(_run(models, models["tuned"], texts=texts))


@pytest.mark.parametrize(
    "settings",
    [
        {"padding_side": "left"}, {"truncation_side": "left"}, {"clean_up_tokenization_spaces": True}, {"chat_template": "{{ x }}"},
        {"name_or_path": "elsewhere"}, {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]},
    ],
    ids=lambda settings: next(iter(settings)),
)  # fmt: skip
def test_tokenizers_that_differ_in_a_setting_are_compared(models, texts, settings):
    tuned = _copy(models, f"with_{next(iter(settings))}", **settings)
    result = _run(models, tuned, texts=texts, max_length=8)
    assert _drifts(result) == _drifts(_run(models, models["tuned"], texts=texts, max_length=8))
    said = [note for note in result.models[0].notes if "truncation_side" in note]
    assert len(said) == ("truncation_side" in settings)


def test_added_tokens_that_the_texts_do_not_hold_change_nothing(models, texts):
    folder = _copy(models, "added")
    tokenizer = load_tokenizer(resolve_model(str(folder)))
    tokenizer.add_tokens(["<user>", "<bot>"])
    tokenizer.save_pretrained(folder)
    assert _drifts(_run(models, folder, texts=texts)) == _drifts(_run(models, models["tuned"], texts=texts))
    with_token = models["folder"] / "with_token.txt"
    with_token.write_text(texts.read_text().replace("\n", " <user>\n"))
    with pytest.raises(
        ModelError, match=r"sample '0' \(row 1 of those read\) becomes .* '<user>' \(id 60\) here and '\[UNK\]'"
    ):
        _run(models, folder, texts=with_token)


def test_tokenizer_that_begins_every_text_with_a_token_is_refused(models, texts):
    from tokenizers import Tokenizer, processors

    folder = _copy(models, "bos")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[("[CLS]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match=r"differ from token 0 on, '\[CLS\]' \(id 2\) here"):
        _run(models, folder, texts=texts)


def test_tokenizer_that_cannot_be_read_gives_way_to_that_of_the_base_model(models, texts):
    damaged, empty = _copy(models, "damaged"), _copy(models, "empty", tokenizer_class="BertTokenizer")
    (damaged / "tokenizer.json").write_text("{}")
    (empty / "tokenizer.json").unlink()
    result = _run(models, damaged, empty, texts=texts)
    plain = _run(models, models["tuned"], texts=texts)
    for number in range(2):
        assert _drifts(result, number) == _drifts(plain)
        assert "Its own tokenizer cannot be read" in result.models[number].notes[0]


def test_base_model_without_a_vocabulary_is_refused(models, texts):
    base = _copy(models, "no_vocabulary", source="base", tokenizer_class="BertTokenizer")
    (base / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="its vocabulary is missing"):
        _run(models, models["tuned"], texts=texts, base=base)


def test_tokens_beyond_the_embedding_are_named_for_the_base_and_for_a_tuned_model(models, texts):
    from transformers import LlamaModel

    base = _copy(models, "more_tokens", source="base")
    tokenizer = load_tokenizer(resolve_model(str(base)))
    tokenizer.add_tokens(["<x>"])
    tokenizer.save_pretrained(base)
    tuned = models["folder"] / "tuned_too_small"
    shutil.copytree(models["tuned"], tuned)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, tuned / name)
    with_token = models["folder"] / "beyond.txt"
    with_token.write_text("the cat sat\n" * 3 + "a dog <x>\n" * 3)
    beyond = (
        r"token 2 of sample '3' \(row 4 of those read\) is '<x>' \(id 60\), and the embedding of LlamaModel has 60 rows"
    )
    with pytest.raises(DataError, match=beyond):
        _run(models, tuned, texts=with_token, base=base)
    larger = LlamaModel.from_pretrained(base)
    larger.resize_token_embeddings(61)
    larger.save_pretrained(base)
    fits = models["folder"] / "tuned_that_fits"
    shutil.copytree(base, fits)
    result = _run(models, tuned, fits, texts=with_token, base=base)
    assert [m.status for m in result.models] == ["not comparable", "compared"]
    assert "'<x>' (id 60)" in result.models[0].reason


@pytest.fixture(scope="module")
def roberta(models, tiny_bert):
    """A RoBERTa with 20 rows of positions, of which 18 hold tokens, and one token type."""
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(0)
    model = RobertaModel(
        RobertaConfig(
            vocab_size=60, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=20, pad_token_id=1, type_vocab_size=1,
        )
    )  # fmt: skip
    for name in ("roberta", "roberta_tuned"):
        model.save_pretrained(models["folder"] / name)
        load_tokenizer(resolve_model(str(tiny_bert))).save_pretrained(models["folder"] / name)
        for parameter in model.parameters():
            parameter.data += 0.02 * torch.randn_like(parameter)
    return models["folder"] / "roberta"


def test_texts_longer_than_the_positions_of_roberta_are_cut_where_its_table_ends(models, roberta):
    texts = models["folder"] / "long.txt"
    texts.write_text("".join(sentence(i, 25) + "\n" for i in range(12)))
    result = _run(models, f"{roberta}_tuned", texts=texts, base=roberta)
    assert (result.tokens, result.truncated_samples) == (12 * 18, 12)
    assert all(drift > 0 for drift in _drifts(result))
    with pytest.raises(
        DataError, match=r"more than the model's maximum of 18 tokens \(its position table has 20 rows, 2 of"
    ):
        _run(models, f"{roberta}_tuned", texts=texts, base=roberta, max_length=19)


def test_token_types_that_the_model_lacks_are_named(models, roberta):
    pairs = models["folder"] / "pairs.jsonl"
    rows = [{"sentence1": sentence(i, 4), "sentence2": sentence(i + 1, 4)} for i in range(8)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(
        DataError, match=r"of sample '0' \(row 1 of those read\) has token type 1; RobertaModel knows 1 \(0 to 0\)"
    ):
        _run(models, f"{roberta}_tuned", texts=pairs, base=roberta)
