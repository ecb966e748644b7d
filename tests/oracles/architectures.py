"""Tiny random-weight models of many architectures, with the names of their blocks and of their last norm."""

import copy
from dataclasses import dataclass, field

import torch
import transformers
from torch import nn

WIDTH, DEPTH, VOCABULARY = 16, 3, 60
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


@dataclass(frozen=True)
class Architecture:
    """config: class name and what differs from the common fields. blocks: the list of blocks, by name.

    end: what a hidden state passes after the last block (a final norm, a projection out), by name.
    """

    config: str
    blocks: str
    end: tuple[str, ...] = ()
    fields: dict = field(default_factory=dict)
    plain: bool = True
    """True if the configuration takes the common field names."""
    dtype: torch.dtype = torch.float64
    """Gemma 2's own attention softmax is in float32, where the mask of float64 overflows to NaN."""


COMMON = {
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
KV = {"num_key_value_heads": 1}
HEAD = {**KV, "head_dim": 8}

# A sliding window of 4 is shorter than the samples, and local layers take turns with global ones.
SLIDING = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}

ARCHITECTURES = {
    "llama": Architecture("LlamaConfig", "layers", ("norm",), KV),
    "mistral": Architecture("MistralConfig", "layers", ("norm",), {**HEAD, "sliding_window": 4}),
    "mixtral": Architecture("MixtralConfig", "layers", ("norm",), {**KV, "num_local_experts": DEPTH}),
    "qwen2": Architecture("Qwen2Config", "layers", ("norm",), KV),
    "qwen3": Architecture("Qwen3Config", "layers", ("norm",), HEAD),
    "gemma2": Architecture("Gemma2Config", "layers", ("norm",), {**HEAD, **SLIDING}, dtype=torch.float32),
    "gemma3": Architecture("Gemma3TextConfig", "layers", ("norm",), {**HEAD, **SLIDING}),
    "phi3": Architecture("Phi3Config", "layers", ("norm",), KV),
    "gpt2": Architecture(
        "GPT2Config", "h", ("ln_f",), {"n_embd": WIDTH, "n_layer": DEPTH, "n_head": 2, "n_positions": 64}, plain=False
    ),
    "gpt_neox": Architecture("GPTNeoXConfig", "layers", ("final_layer_norm",)),
    "opt": Architecture(
        "OPTConfig",
        "decoder.layers",
        ("decoder.final_layer_norm", "decoder.project_out"),
        {"ffn_dim": 32, "word_embed_proj_dim": 8},
    ),
    "opt_post_norm": Architecture(
        "OPTConfig",
        "decoder.layers",
        ("decoder.project_out",),
        {"ffn_dim": 32, "word_embed_proj_dim": 8, "do_layer_norm_before": False},
    ),
    "bloom": Architecture("BloomConfig", "h", ("ln_f",), {"hidden_size": WIDTH, "n_layer": DEPTH, "n_head": 2}, plain=False),
    "falcon": Architecture("FalconConfig", "h", ("ln_f",), {"multi_query": True, "alibi": False}),
    "falcon_alibi": Architecture("FalconConfig", "h", ("ln_f",), {"new_decoder_architecture": True, "alibi": True}),
    "olmo2": Architecture("Olmo2Config", "layers", ("norm",), KV),
    "smollm3": Architecture("SmolLM3Config", "layers", ("norm",), KV),
    "bert": Architecture("BertConfig", "encoder.layer"),
    "roberta": Architecture("RobertaConfig", "encoder.layer", (), {"pad_token_id": 1, "bos_token_id": 0}),
    "deberta_v2": Architecture(
        "DebertaV2Config", "encoder.layer", (), {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    ),
    "deberta_v2_conv": Architecture(
        "DebertaV2Config",
        "encoder.layer",
        (),
        {
            "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 4, "norm_rel_ebd": "layer_norm",
            "share_att_key": True, "conv_kernel_size": 3, "conv_act": "gelu",
        },
    ),
    "distilbert": Architecture(
        "DistilBertConfig", "transformer.layer", (), {"dim": WIDTH, "n_layers": DEPTH, "n_heads": 2, "hidden_dim": 32}, plain=False
    ),
    "electra": Architecture("ElectraConfig", "encoder.layer", (), {"embedding_size": 8}),
    "modernbert": Architecture(
        "ModernBertConfig", "layers", ("final_norm",), {"local_attention": 4, "global_attn_every_n_layers": 2, "cls_token_id": 1,
        "sep_token_id": 2},
    ),
    "mamba": Architecture("MambaConfig", "layers", ("norm_f",), {"state_size": 4}),
    "jamba": Architecture(
        "JambaConfig",
        "layers",
        ("final_layernorm",),
        {
            **KV, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1,
            "num_experts": DEPTH, "mamba_d_state": 4, "mamba_dt_rank": 4,
        },
    ),
    "zamba2": Architecture(
        "Zamba2Config",
        "layers",
        ("final_layernorm",),
        {
            "layers_block_type": ["mamba", "hybrid", "mamba"], "mamba_d_state": 4, "mamba_headdim": 8, "n_mamba_heads": 4,
            "num_mem_blocks": 1, "adapter_rank": 4, "chunk_size": 8, "use_mem_eff_path": False,
            "num_key_value_heads": 2,
        },
    ),
    "xlnet": Architecture("XLNetConfig", "layer", (), {"d_model": WIDTH, "n_layer": DEPTH, "n_head": 2, "d_inner": 32}, plain=False),
}  # fmt: skip

# Blocks that are shared, and models of two halves: their blocks are named inside either half.
ALBERT = Architecture("AlbertConfig", "encoder.albert_layer_groups", (), {"embedding_size": 8})
ENCODER_DECODERS = {
    "t5": Architecture(
        "T5Config",
        "block",
        ("final_layer_norm",),
        {
            "d_model": WIDTH, "d_kv": 8, "d_ff": 32, "num_layers": DEPTH, "num_decoder_layers": 2, "num_heads": 2,
            "decoder_start_token_id": 0,
        },
        plain=False,
    ),
    "bart": Architecture(
        "BartConfig",
        "layers",
        (),
        {
            "d_model": WIDTH, "encoder_layers": DEPTH, "decoder_layers": 2, "encoder_attention_heads": 2,
            "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64,
            "decoder_start_token_id": 2,
        },
        plain=False,
    ),
}  # fmt: skip


def config_of(architecture, **fields):
    """The configuration of a tiny model."""
    fields = {
        **SPECIAL,
        "vocab_size": VOCABULARY,
        **(COMMON if architecture.plain else {}),
        **architecture.fields,
        **fields,
    }
    return getattr(transformers, architecture.config)(**fields)


def model_of(architecture, auto_class=transformers.AutoModel, **fields):
    """A model whose every parameter is random: norms and biases too."""
    config = config_of(architecture, **fields)
    torch.manual_seed(0)
    model = auto_class.from_config(config, experts_implementation="eager")  # grouped products know no float64
    return randomised(model).to(architecture.dtype)


def randomised(model):
    """`model` in float64, every parameter moved at random."""
    model = model.double().eval()
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=g, dtype=parameter.dtype) * 0.15)
    return model


def cut_after(model, layer, *, blocks, end):
    """A copy of `model` that stops after block `layer`: its `last_hidden_state` is that block's output."""
    cut = copy.deepcopy(model)
    parent, _, name = blocks.rpartition(".")
    setattr(cut.get_submodule(parent), name, cut.get_submodule(blocks)[: layer + 1])
    for each in end:
        parent, _, name = each.rpartition(".")
        setattr(cut.get_submodule(parent), name, nn.Identity())
    return cut
