"""Kinds of weights for every architecture that the tests know."""

import re
from collections import Counter

import pytest

from repdrift.weights.matrix_layout import layout_of
from repdrift.weights.module_kind import kind_of
from tests.oracles.architectures import ALBERT, ARCHITECTURES, ENCODER_DECODERS, model_of

ALL = {**ARCHITECTURES, **ENCODER_DECODERS, "albert": ALBERT}
SPLIT = {"query": 1, "key": 1, "value": 1, "output": 1}
FUSED = {"qkv": 1, "output": 1}
GATED, FUSED_GATE, PLAIN = {"gate": 1, "up": 1, "down": 1}, {"gate_up": 1, "down": 1}, {"up": 1, "down": 1}
_SPLIT_GATED = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "olmo2", "smollm3")
_SPLIT_PLAIN = (
    "bert", "roberta", "distilbert", "electra", "deberta_v2_conv", "opt", "opt_post_norm", "bart", "t5", "albert", "xlnet",
)  # fmt: skip
_FUSED_PLAIN = ("gpt2", "gpt_neox", "bloom", "falcon", "falcon_alibi")


def _all(names, counts):
    return {name: dict(counts) for name in names}


IN_A_BLOCK = {
    **_all(_SPLIT_GATED, SPLIT | GATED),
    **_all(_SPLIT_PLAIN, SPLIT | PLAIN),
    **_all(_FUSED_PLAIN, FUSED | PLAIN),
    **_all(("phi3", "modernbert"), FUSED | FUSED_GATE),
    **_all(("mixtral", "jamba", "zamba2"), SPLIT | FUSED_GATE),
    "deberta_v2": {"query": 2, "key": 2, "value": 1, "output": 1, **PLAIN},
    "mamba": {},
}
ATTENTION_BLOCK = {"jamba": 1, "zamba2": 1}
"""The first block that has attention, where that is not block 0."""


def kinds(model, block):
    """The kinds of the weights of one block, and of those outside the blocks, with how many there are."""
    inside, outside = Counter(), Counter()
    for name, parameter in model.named_parameters():
        owner = model.get_submodule(name.rpartition(".")[0])
        found = re.match(r"(?:encoder\.)?(.*?)\.(\d+)\.(.*)", name)
        is_matrix = layout_of(owner, name, tuple(parameter.shape)).kind != "vector"
        own = found[3] if found else name
        kind = kind_of(own, owner, is_matrix=is_matrix, model_type=model.config.model_type)
        assert is_matrix or kind in ("norm", "bias", "other", "embedding")
        if name.startswith("decoder.") and "encoder." in str(dict(model.named_modules()).keys()):
            continue
        if found is None:
            outside[kind] += 1
        elif int(found[2]) == block:
            inside[kind] += 1
    return inside, outside


@pytest.mark.parametrize("name", IN_A_BLOCK)
def test_kinds_in_a_block(name):
    inside, outside = kinds(model_of(ALL[name]), ATTENTION_BLOCK.get(name, 0))
    maps = {kind: n for kind, n in inside.items() if kind not in ("norm", "bias", "other", "embedding")}
    assert maps == IN_A_BLOCK[name]
    assert inside["norm"] >= 1
    assert outside["embedding"] >= 1


def test_every_known_architecture_is_in_the_table():
    assert set(IN_A_BLOCK) == set(ALL)


@pytest.mark.parametrize(("name", "kind"), [
    ("mlp.experts.gate_up_proj[3]", "gate_up"),
    ("block_sparse_moe.experts.0.w1.weight", "gate"),
    ("block_sparse_moe.experts.0.w2.weight", "down"),
    ("block_sparse_moe.experts.0.w3.weight", "up"),
    ("block_sparse_moe.gate.weight", "other"),
    ("attn.attention.out_proj.weight", "output"),
    ("mixer.out_proj.weight", "other"),
    ("crossattention.self.query.weight", "query"),
    ("crossattention.output.dense.weight", "output"),
    ("attention.output.LayerNorm.weight", "norm"),
    ("attention.self.query.bias", "bias"),
    ("unheard_of.weight", "other"),
])  # fmt: skip
def test_names_without_their_module(name, kind):
    assert kind_of(name, None, is_matrix="bias" not in name and "Norm" not in name) == kind
