"""A head run by itself gives the logits of the whole model, in every architecture: scaled, capped, biased, transformed, tied or not."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from repdrift.core.errors import OutcomeNotApplicable
from repdrift.models.output_head import split_language_model
from tests.oracles.architectures import (
    ALBERT,
    ARCHITECTURES,
    COMMON,
    HEAD,
    KV,
    VOCABULARY,
    Architecture,
    config_of,
    model_of,
)

UNUSUAL_HEADS = {
    "cohere": Architecture("CohereConfig", "layers", ("norm",), {**KV, "logit_scale": 0.3}),
    "granite": Architecture("GraniteConfig", "layers", ("norm",), {**KV, "logits_scaling": 3.0}),
    "phi": Architecture("PhiConfig", "layers", ("final_layernorm",)),
    "gpt_j": Architecture("GPTJConfig", "h", ("ln_f",), {"n_embd": 16, "n_layer": 2, "n_head": 2, "rotary_dim": 4}, plain=False),
    "codegen": Architecture("CodeGenConfig", "h", ("ln_f",), {"n_embd": 16, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, plain=False),
    "gemma2_capped": Architecture(
        "Gemma2Config", "layers", ("norm",), {**HEAD, "final_logit_softcapping": 0.5}, dtype=torch.float32
    ),
    "bert_decoder": Architecture("BertConfig", "encoder.layer", (), {"is_decoder": True}),
    "convbert": Architecture("ConvBertConfig", "encoder.layer", (), {"embedding_size": 16}),
    "mobilebert": Architecture(
        "MobileBertConfig", "encoder.layer", (), {"embedding_size": 8, "true_hidden_size": 16, "intra_bottleneck_size": 16}
    ),
    "mpnet": Architecture("MPNetConfig", "encoder.layer"),
    "squeezebert": Architecture("SqueezeBertConfig", "encoder.layers", (), {"embedding_size": 16}),
}  # fmt: skip
FAMILIES = {**ARCHITECTURES, "albert": ALBERT, **UNUSUAL_HEADS}
CAUSAL = [n for n in FAMILIES if type(config_of(FAMILIES[n])) in AutoModelForCausalLM._model_mapping]
MASKED = [
    n for n in FAMILIES if type(config_of(FAMILIES[n])) in AutoModelForMaskedLM._model_mapping and n != "bert_decoder"
]


def inputs():
    g = torch.Generator().manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (2, 9), generator=g)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("name", [name for name in CAUSAL if name not in MASKED or name == "bert_decoder"])
def test_head_of_a_causal_model_gives_the_whole_models_logits(name):
    check(model_of(FAMILIES[name], AutoModelForCausalLM), "causal")


@pytest.mark.parametrize("name", [name for name in MASKED if name != "xlnet"])
def test_head_of_a_masked_model_gives_the_whole_models_logits(name):
    check(model_of(FAMILIES[name], AutoModelForMaskedLM), "masked")


def test_every_architecture_but_one_that_permutes_texts_was_tried():
    assert set(FAMILIES) - set(CAUSAL) - set(MASKED) == set()
    assert COMMON["hidden_size"] == 16  # small enough that a wrong factor is far from rounding


@pytest.mark.parametrize("tied", [True, False])
def test_tied_and_untied_heads_read_their_own_weights(tied):
    model = model_of(FAMILIES["llama"], AutoModelForCausalLM, tie_word_embeddings=tied)
    assert (model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()) == tied
    check(model, "causal")


def test_a_model_whose_head_reads_more_than_the_last_state_is_refused():
    model = model_of(FAMILIES["llama"], AutoModelForCausalLM)
    head = model.lm_head
    model.lm_head = torch.nn.Identity()
    whole = model.forward

    def forward(**given):
        output = whole(**given)
        embedded = 0.0 if isinstance(model.model, torch.nn.Module) and not hasattr(model.model, "embed_tokens") else 1.0
        output.logits = head(output.logits + embedded)
        return output

    model.forward = forward
    with pytest.raises(OutcomeNotApplicable, match="reads more than its last hidden state"):
        split_language_model(model, "causal")


def test_a_model_whose_head_asks_for_more_than_the_stand_in_gives_is_refused():
    model = model_of(FAMILIES["llama"], AutoModelForCausalLM)
    whole = model.forward

    def forward(**given):
        model.model.layers  # noqa: B018 (the stand-in has none)
        return whole(**given)

    model.forward = forward
    with pytest.raises(OutcomeNotApplicable, match="reads more than its last hidden state"):
        split_language_model(model, "causal")


def test_a_model_without_a_language_modelling_head_is_refused():
    with pytest.raises(OutcomeNotApplicable, match="no head"):
        split_language_model(model_of(FAMILIES["llama"]), "causal")


def check(model, kind):
    given = inputs()
    with torch.inference_mode():
        expected = model(**given).logits
        split = split_language_model(model, kind)
        hidden = split.body(**given)[0]
        found = torch.stack([split.head.logits(row) for row in hidden])
    assert split.head.rows == expected.shape[-1]
    tolerance = 1e-10 if expected.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found[0], expected[0], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found[1, :6], expected[1, :6], rtol=tolerance, atol=tolerance)
