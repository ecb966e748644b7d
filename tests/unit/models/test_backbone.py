"""The part of a model that is run: either stack of an encoder-decoder, and the inputs of a decoder."""

import pytest
import torch
import transformers

from repdrift.core.errors import ModelError, ShapeError
from repdrift.models import backbone_of, decoder_inputs, find_blocks

T5 = transformers.T5Config(
    vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=3, num_decoder_layers=2, num_heads=2, decoder_start_token_id=0,
    pad_token_id=0, num_labels=2,
)  # fmt: skip
BART = {
    "vocab_size": 20, "d_model": 8, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("model_class", "config"),
    [
        ("T5Model", T5), ("T5ForConditionalGeneration", T5), ("T5ForSequenceClassification", T5), ("T5ForQuestionAnswering", T5),
        ("BartModel", transformers.BartConfig(**BART)), ("BartForConditionalGeneration", transformers.BartConfig(**BART)),
        ("BartForSequenceClassification", transformers.BartConfig(**BART)), ("PegasusModel", transformers.PegasusConfig(**BART)),
    ],
)  # fmt: skip
def test_encoder_decoder_gives_either_stack_under_any_head(model_class, config):
    model = getattr(transformers, model_class)(config)
    encoder, both = backbone_of(model), backbone_of(model, "decoder")
    assert encoder is backbone_of(model, "encoder")
    assert encoder is model.get_encoder()
    assert len(find_blocks(encoder)) == len(find_blocks(both)) == len(find_blocks(model, stack="encoder")) == 3
    assert both.decoder is model.get_decoder()
    assert len(find_blocks(both, stack="decoder")) == len(find_blocks(model, stack="decoder")) == 2


def test_stack_that_a_model_lacks_is_refused():
    small = {
        "vocab_size": 20,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    llama = transformers.LlamaModel(transformers.LlamaConfig(**small))
    bert = transformers.BertModel(transformers.BertConfig(**small))
    half = transformers.T5EncoderModel(T5)
    for model, has, lacks in (
        (llama, "decoder", "encoder"), (bert, "encoder", "decoder"), (half, "encoder", "decoder"), (half.encoder, "encoder", "decoder")
    ):  # fmt: skip
        assert backbone_of(model, has) is model
        assert find_blocks(model, stack=has).modules == find_blocks(model).modules
        for ask in (backbone_of, lambda model, stack: find_blocks(model, stack=stack)):
            with pytest.raises(ModelError, match=f"{type(model).__name__} has no {lacks}: it has only an? {has}"):
                ask(model, lacks)


def test_decoder_of_a_pair_is_found_where_it_stands_alone():
    alone = transformers.BartForCausalLM(
        transformers.BartConfig(**{**BART, "is_decoder": True, "is_encoder_decoder": False})
    )
    assert len(find_blocks(backbone_of(alone))) == 2
    assert backbone_of(alone, "decoder") is backbone_of(alone)


IDS_PADDED = torch.tensor([[5, 6, 7, 2], [8, 2, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: transformers.T5Model(T5), [[0, 5, 6, 7], [0, 8]]),
        (
            lambda: transformers.BartModel(transformers.BartConfig(**BART, decoder_start_token_id=2)),
            [[2, 5, 6, 7], [2, 8]],
        ),
        (
            lambda: transformers.MBartModel(transformers.MBartConfig(**BART)),
            [[2, 5, 6, 7], [2, 8]],
        ),  # its last token first
    ],
)
def test_decoder_inputs_follow_the_models_own_rule(model, expected):
    given = decoder_inputs(model(), IDS_PADDED, MASK)
    assert torch.equal(given["decoder_attention_mask"], MASK)
    for row, ids in enumerate(expected):
        assert given["decoder_input_ids"][row, : len(ids)].tolist() == ids


def test_decoder_inputs_that_cannot_be_made_are_refused():
    with pytest.raises(ShapeError, match="padded on the left"):
        decoder_inputs(transformers.T5Model(T5), IDS_PADDED.flip(1), MASK.flip(1))
    with pytest.raises(ModelError, match="T5EncoderModel has no decoder"):
        decoder_inputs(transformers.T5EncoderModel(T5), IDS_PADDED, MASK)
    without = transformers.BartModel(transformers.BartConfig(**BART, decoder_start_token_id=None))
    with pytest.raises(ModelError, match="BartModel cannot shift"):
        decoder_inputs(without, IDS_PADDED, MASK)
