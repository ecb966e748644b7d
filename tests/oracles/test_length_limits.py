"""The claimed maximum of tokens against the forward passes of tiny models of many families, with positions of every kind."""

from typing import Any

import pytest
import torch
import transformers

from repdrift.core.errors import DataError
from repdrift.extraction import extract
from repdrift.models import backbone_of, length_limit, length_limit_of_config

MOST = 20
BERT = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": MOST, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
BART = {
    "vocab_size": 60, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": MOST,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
GPT = {"vocab_size": 60, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": MOST}
HEADS = {"num_key_value_heads": 1, "head_dim": 8}
XLM = {"vocab_size": 60, "emb_dim": 16, "n_layers": 2, "n_heads": 2, "max_position_embeddings": MOST, "pad_index": 1}

# By family: what differs from its common configuration, and the most tokens that the encoder and the decoder take.
FAMILIES = {
    # A learned table with a row for each token.
    **dict.fromkeys(
        ("Bert", "MegatronBert", "Ernie", "FNet", "BigBird", "Splinter", "RoFormer", "Canine"), (BERT, MOST)
    ),
    **{name: (BERT | {"embedding_size": 8}, MOST) for name in ("Albert", "Electra")},
    "GPT2": (GPT, MOST),
    "OpenAIGPT": (GPT, MOST),
    "GPTBigCode": (GPT, MOST),
    "CTRL": (GPT | {"dff": 32}, MOST),
    "XLM": (XLM, MOST),
    "Flaubert": (XLM, MOST),
    # Rows up to the padding's hold no token: RoBERTa and what was made after it.
    **dict.fromkeys(
        ("Roberta", "XLMRoberta", "Camembert", "RobertaPreLayerNorm", "Data2VecText", "IBert", "MPNet", "Longformer"),
        (BERT, MOST - 2),
    ),
    "Esm": (BERT | {"position_embedding_type": "absolute"}, MOST - 2),
    # Two rows more than the configuration says, which costs no token.
    "OPT": (BERT | {"ffn_dim": 32, "word_embed_proj_dim": 16}, MOST),
    "BioGpt": (BERT, MOST),
    "Nystromformer": (BERT, MOST),
    "Yoso": (BERT, MOST),
    **dict.fromkeys(("Bart", "MBart", "PLBart", "Blenderbot", "Pegasus", "Marian", "BigBirdPegasus"), (BART, MOST)),
    # Whole windows, and a decoder that takes less than the encoder.
    "LED": (
        BART | {"max_encoder_position_embeddings": 18, "max_decoder_position_embeddings": 14, "attention_window": 4},
        16,
    ),
    # Computed positions in a table of fixed size.
    "GPTJ": (GPT | {"rotary_dim": 4}, MOST),
    "CodeGen": (GPT | {"rotary_dim": 4, "n_head": 4, "n_embd": 32}, MOST),
    "Mpt": ({"vocab_size": 60, "d_model": 16, "n_layers": 2, "n_heads": 2, "max_seq_len": MOST}, MOST),
    "Deberta": (BERT | {"relative_attention": True, "pos_att_type": ["c2p"], "position_biased_input": True}, MOST),
    # Relative, rotary, ALiBi, or a table that grows: any length runs.
    "DebertaV2": (BERT | {"relative_attention": True, "pos_att_type": ["c2p"], "position_biased_input": False}, None),
    "Llama": (BERT, None),
    "Mistral": (BERT | HEADS | {"sliding_window": 4}, None),
    "Gemma": (BERT | HEADS, None),
    "GPTNeoX": (BERT, None),
    "Falcon": (BERT | {"alibi": True, "new_decoder_architecture": True}, None),
    "Bloom": ({"vocab_size": 60, "hidden_size": 16, "n_layer": 2, "n_head": 2}, None),
    "ModernBert": (BERT | {"local_attention": 4, "cls_token_id": 1, "sep_token_id": 2}, None),
    "XLNet": ({"vocab_size": 60, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}, None),
    "T5": ({"vocab_size": 60, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}, None),
    "M2M100": (BART, None),
    "FSMT": ({**BART, "src_vocab_size": 60, "tgt_vocab_size": 60, "langs": ["en", "de"]}, None),
}
DECODERS = {"Bart": MOST, "Marian": MOST, "LED": 14, "T5": None, "M2M100": None}


def _config(family):
    return getattr(transformers, f"{family}Config")(**FAMILIES[family][0])


def _runs(model, tokens, *, decoder):
    ids = torch.randint(5, 50, (2, tokens), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if decoder:
        inputs["decoder_input_ids"] = ids
    with torch.no_grad():
        try:
            model(**inputs)
        except (IndexError, RuntimeError):
            return False
    return True


@pytest.mark.parametrize(
    ("family", "stack", "most"),
    [
        *((name, None, most) for name, (_, most) in FAMILIES.items()),
        *((n, "decoder", most) for n, most in DECODERS.items()),
    ],
)
def test_claimed_maximum_runs_and_one_token_more_does_not(family, stack, most):
    config = _config(family)
    torch.manual_seed(0)
    model = backbone_of(transformers.AutoModel.from_config(config).eval(), stack)
    limit = length_limit(model, stack)
    assert limit.most == most
    assert limit == length_limit_of_config(config, stack), "before loading as after it"
    decoder = stack == "decoder"
    assert _runs(model, most or 3 * MOST, decoder=decoder)
    if most is not None:
        assert not _runs(model, most + 1, decoder=decoder)


@pytest.mark.parametrize(
    ("rope", "most", "trained"),
    [
        ({"rope_type": "default"}, None, 64),
        ({"rope_type": "linear", "factor": 4.0}, None, 256),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}, None, 64),
        ({"rope_type": "dynamic", "factor": 2.0}, 64, 64),
        (
            {
                "rope_type": "longrope",
                "original_max_position_embeddings": 16,
                "short_factor": [1.0] * 4,
                "long_factor": [3.0] * 4,
            },
            16,
            64,
        ),
    ],
    ids=lambda value: value["rope_type"] if isinstance(value, dict) else None,
)
def test_scaled_rotary_positions_do_not_depend_on_other_samples_up_to_the_maximum(rope, most, trained):
    config = transformers.LlamaConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, initializer_range=0.5,
        max_position_embeddings=64, rope_parameters={"rope_theta": 10000.0, **rope},
    )  # fmt: skip
    limit = length_limit_of_config(config)
    assert (limit.most, limit.trained) == (most, trained)
    torch.manual_seed(0)
    model = transformers.LlamaModel(config).eval()
    lengths = (most or 3 * trained, 9, 12)
    samples = [torch.randint(5, 50, (n,)).tolist() for n in lengths]
    together, alone = (extract(model, samples, token_budget=tokens)["layer_1"] for tokens in (10**6, 1))
    assert torch.allclose(together, alone, atol=1e-5)
    if most is not None:
        with pytest.raises(DataError, match="depend on the other samples of a batch"):
            extract(model, [[5] * (most + 1), [6, 7]])


def test_table_of_the_loaded_model_goes_before_its_configuration():
    model: Any = transformers.AutoModel.from_config(_config("Roberta")).eval()
    model.embeddings.position_embeddings = torch.nn.Embedding(12, 16, padding_idx=1)
    assert length_limit(model).most == 10


def test_configuration_of_an_unknown_class_gives_what_it_says():
    config = transformers.PretrainedConfig()
    config.max_position_embeddings = 77  # pyright: ignore[reportAttributeAccessIssue]
    limit = length_limit_of_config(config)
    assert (limit.most, limit.advised) == (None, 77)
