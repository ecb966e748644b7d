"""What attention and MLP add to the residual stream, read by plain hooks on modules that are named here by hand."""

from dataclasses import dataclass

import torch

from tests.oracles.architectures import ALBERT, ARCHITECTURES, ENCODER_DECODERS, HEAD, KV, Architecture


@dataclass(frozen=True)
class Added:
    """attention, mlp: names inside a block of the modules whose outputs are added, times `factor`; several mlp outputs are summed.

    down: the matrix inside a block that writes the MLP's output, for planted changes.
    """

    attention: str | None
    mlp: tuple[str, ...]
    factor: float = 1.0
    down: str | None = None


_BERT = Added("attention.output.dense", ("output.dense",), down="output.dense")
_GATED = Added("self_attn", ("mlp",), down="mlp.down_proj")
_SANDWICH = Added("post_attention_layernorm", ("post_feedforward_layernorm",), down="mlp.down_proj")
_FC2 = Added("self_attn", ("fc2",), down="fc2")
_BLOOM = Added("self_attention.dense", ("mlp.dense_4h_to_h",), down="mlp.dense_4h_to_h")

ADDED = {
    "llama": _GATED,
    "mistral": _GATED,
    "mixtral": Added("self_attn", ("mlp",)),
    "qwen2": _GATED,
    "qwen3": _GATED,
    "gemma2": _SANDWICH,
    "gemma3": _SANDWICH,
    "phi3": _GATED,
    "gpt2": Added("attn", ("mlp",), down="mlp.c_proj"),
    "gpt_neox": Added("attention", ("mlp",), down="mlp.dense_4h_to_h"),
    "opt": _FC2,
    "opt_post_norm": _FC2,
    "bloom": _BLOOM,
    "falcon": _BLOOM,
    "falcon_alibi": _BLOOM,
    "olmo2": _SANDWICH,
    "smollm3": _GATED,
    "bert": _BERT,
    "roberta": _BERT,
    "deberta_v2": _BERT,
    "deberta_v2_conv": _BERT,
    "distilbert": Added("attention", ("ffn",), down="ffn.lin2"),
    "electra": _BERT,
    "modernbert": Added("attn", ("mlp",), down="mlp.Wo"),
    "jamba": Added("self_attn", ("feed_forward",)),
    "xlnet": Added(None, ("ff.layer_2",), down="ff.layer_2"),
    "albert": Added("attention.dense", ("ffn_output",)),
    "t5": Added("layer.0.SelfAttention", ("layer.1.DenseReluDense",), down="layer.1.DenseReluDense.wo"),
    "bart": _FC2,
    "granite": Added("self_attn", ("mlp",), 0.22, "mlp.down_proj"),
    "granite_shared_experts": Added("self_attn", ("block_sparse_moe", "shared_mlp"), 0.22),
    "gptj": Added("attn", ("mlp",), down="mlp.fc_out"),
    "cohere": _GATED,
    "deepseek_v3": Added("self_attn", ("mlp",)),
    "gpt_oss": Added("self_attn", ("mlp",)),
}
"""By architecture. Mamba has neither attention nor MLP; in Zamba 2 both pass a projection with the Mamba block before they reach the stream."""

MORE = {
    "granite": Architecture("GraniteConfig", "layers", ("norm",), {**KV, "residual_multiplier": 0.22}),
    "granite_shared_experts": Architecture(
        "GraniteMoeSharedConfig", "layers", ("norm",),
        {**KV, "residual_multiplier": 0.22, "num_local_experts": 3, "shared_intermediate_size": 8},
    ),
    "gptj": Architecture("GPTJConfig", "h", ("ln_f",), {"n_embd": 16, "n_layer": 3, "n_head": 2, "rotary_dim": 4}, plain=False),
    "cohere": Architecture("CohereConfig", "layers", ("norm",), KV),
    "deepseek_v3": Architecture(
        "DeepseekV3Config", "layers", ("norm",),
        {
            "num_key_value_heads": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "q_lora_rank": 8,
            "kv_lora_rank": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "qk_nope_head_dim": 4, "n_group": 1, "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
    "gpt_oss": Architecture(
        "GptOssConfig", "layers", ("norm",), {**HEAD, "num_local_experts": 4, "num_experts_per_tok": 2}, dtype=torch.float32
    ),
}  # fmt: skip
"""Architectures beside those of `architectures`, for a multiplier, shared experts, parallel blocks, and experts of other makes."""

KNOWN = {**ARCHITECTURES, "albert": ALBERT, **ENCODER_DECODERS, **MORE}


def reference(model, blocks, added, samples):
    """By name as `extract` has it: means over tokens, (n, d), of what is added in each run of a block; each sample alone.

    blocks: the modules that are the blocks, one for each layer.
    """
    found = {}
    for sample in samples:
        layer, seen, handles = [0], {}, []

        def keep(site, factor, layer=layer, seen=seen):
            def hook(_module, _args, output):
                value = output[0] if isinstance(output, tuple) else output
                value = value.transpose(0, 1) if model.config.model_type == "xlnet" else value
                name = f"{site}_{layer[0]}"
                value = factor * value.reshape(-1, value.shape[-1]).mean(0)
                seen[name] = seen[name] + value if name in seen else value

            return hook

        def next_layer(*_args, layer=layer):
            layer[0] += 1

        for block in dict.fromkeys(blocks):
            for site, names in (("attn_out", (added.attention,)), ("mlp_out", added.mlp)):
                for name in names:
                    if name is not None and name in dict(block.named_modules()):
                        module = block.get_submodule(name)
                        handles.append(module.register_forward_hook(keep(site, added.factor)))
            handles.append(block.register_forward_hook(next_layer))
        with torch.inference_mode():
            model(input_ids=sample)
        for handle in handles:
            handle.remove()
        for name, value in seen.items():
            found.setdefault(name, []).append(value)
    return {name: torch.stack(rows) for name, rows in found.items()}
