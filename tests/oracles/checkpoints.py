"""Small checkpoints of many architectures, and their blocks' outputs by either schedule."""

import torch
from transformers import (
    AlbertConfig,
    BartConfig,
    BertConfig,
    BloomConfig,
    DebertaV2Config,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    ModernBertConfig,
    OPTConfig,
    Qwen2Config,
    RobertaConfig,
    T5Config,
)

from repdrift.extraction.batching import BatchPlan, sample_set_of
from repdrift.extraction.layer_major import run_layer_major
from repdrift.models import quiet_transformers, resolve_model
from repdrift.models.lazy_model import load_lazy_model

LENGTHS = (9, 4, 13, 2, 7, 13)
DEPTH = 3

_TEXT = {"vocab_size": 60, "num_hidden_layers": DEPTH, "num_attention_heads": 4, "pad_token_id": 0}
_WIDE = {**_TEXT, "hidden_size": 32, "intermediate_size": 48, "max_position_embeddings": 64, "initializer_range": 0.2}
ROPE = {**_WIDE, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
_ALTERNATE = ["sliding_attention", "full_attention", "sliding_attention"]
_GEMMA = {**ROPE, "head_dim": 8, "sliding_window": 4, "layer_types": _ALTERNATE}
_LEGACY = {"vocab_size": 60, "hidden_size": 32, "n_layer": DEPTH, "n_head": 4, "initializer_range": 0.2}

FAMILIES = {
    "llama": lambda: LlamaConfig(**ROPE),
    "mistral": lambda: MistralConfig(**ROPE, sliding_window=4),
    "gemma2": lambda: Gemma2Config(**_GEMMA, query_pre_attn_scalar=8),
    "gemma3_text": lambda: Gemma3TextConfig(**_GEMMA, query_pre_attn_scalar=8),
    "qwen2": lambda: Qwen2Config(**ROPE),
    "mixtral": lambda: MixtralConfig(**ROPE, num_local_experts=4, num_experts_per_tok=2),
    "gpt2": lambda: GPT2Config(vocab_size=60, n_embd=32, n_layer=DEPTH, n_head=4, n_positions=64, initializer_range=0.2),
    "gpt_neox": lambda: GPTNeoXConfig(**_WIDE),
    "opt": lambda: OPTConfig(**_TEXT, hidden_size=32, ffn_dim=48, max_position_embeddings=64, word_embed_proj_dim=16, init_std=0.2),
    "bloom": lambda: BloomConfig(**_LEGACY),
    "falcon": lambda: FalconConfig(**{**_TEXT, "hidden_size": 32, "initializer_range": 0.2}, alibi=True),
    "bert": lambda: BertConfig(**_WIDE),
    "roberta": lambda: RobertaConfig(**_WIDE),
    "deberta_v2": lambda: DebertaV2Config(
        **_WIDE, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, conv_kernel_size=3,
        norm_rel_ebd="layer_norm", share_att_key=True,
    ),
    "modernbert": lambda: ModernBertConfig(**_WIDE, local_attention=8, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2),
    "albert": lambda: AlbertConfig(**_WIDE, embedding_size=16),
    "t5": lambda: T5Config(vocab_size=60, d_model=32, d_kv=8, d_ff=48, num_layers=DEPTH, num_heads=4),
    "bart": lambda: BartConfig(
        vocab_size=60, d_model=32, encoder_layers=DEPTH, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, init_std=0.2,
    ),
    "mamba": lambda: MambaConfig(vocab_size=60, hidden_size=32, state_size=4, num_hidden_layers=DEPTH, time_step_rank=4),
}  # fmt: skip


def a_few_batches():
    """Six samples of unlike length, in several batches."""
    g = torch.Generator().manual_seed(0)
    ids = torch.zeros((len(LENGTHS), max(LENGTHS)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(4, 40, (length,), generator=g)
        mask[row, :length] = 1
    return BatchPlan(sample_set_of({"input_ids": ids, "attention_mask": mask}), token_budget=30)


def saved(folder, model, *, shard="40KB"):
    with quiet_transformers():
        model.save_pretrained(folder, max_shard_size=shard)
    return resolve_model(str(folder))


def layer_major(source, batches, *, layers=None, **options):
    """Hidden states by layer and batch number, zero on padding. options: of `load_lazy_model`."""
    lazy_model = load_lazy_model(source, **options)
    found = {}

    def keep(layer, batch, hidden):
        found[layer, batch.number] = hidden.clone() * batch.inputs["attention_mask"][:, :, None]

    run_layer_major(lazy_model, batches, lazy_model.blocks.select(layers), keep)
    return found


def sample_major(model, batches, modules):
    """Hidden states by layer and batch number, zero on padding: by plain hooks, one forward pass a batch."""
    found = {}
    outputs = []
    runner = model.get_encoder() if model.config.is_encoder_decoder else model

    def keep(_module, _inputs, output):
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hooks = [module.register_forward_hook(keep) for module in dict.fromkeys(modules)]
    with torch.inference_mode():
        for batch in batches:
            outputs.clear()
            runner(**batch.inputs)
            for layer, hidden in enumerate(outputs):
                found[layer, batch.number] = hidden * batch.inputs["attention_mask"][:, :, None]
    for hook in hooks:
        hook.remove()
    return found


def blocks_of(model):
    if model.config.model_type == "albert":
        return list(model.encoder.albert_layer_groups)
    if model.config.model_type == "deberta-v2":  # the stream goes through a convolution behind the first block
        return [model.encoder.conv, *model.encoder.layer[1:]]
    lists = [m for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and "decoder.layers" not in n]
    lists += [m for n, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and n == "decoder.layers"]
    return list(next(m for m in lists if len(m) == DEPTH))


def assert_same(found, expected, atol=1e-5):
    assert found.keys() == expected.keys()
    for key, hidden in found.items():
        torch.testing.assert_close(hidden, expected[key], atol=atol, rtol=1e-5)
