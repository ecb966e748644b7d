"""The part that a weight plays in its block, by the names that architectures give their modules."""

from __future__ import annotations

import re

from torch import nn

from repdrift.core.records.weights import ModuleKind
from repdrift.weights.base_matrices import BaseMatrices
from repdrift.weights.weight_names import WeightName

_ATTENTION = r"(^|\.)((self_?|cross_?|enc_?dec_?|encoder_|rel_|intra_)?(attn|attention)(\.self)?|attn\.attn)\."
_NAMES: dict[ModuleKind, tuple[str, ...]] = {
    "query": (
        "q_proj", "query", "query_proj", "pos_query_proj", "q_lin", "wq", "to_q", "q_attn", "q_a_proj", "q_b_proj",
    ),
    "key": ("k_proj", "key", "key_proj", "pos_key_proj", "k_lin", "wk", "to_k"),
    "value": ("v_proj", "value", "value_proj", "v_lin", "wv", "to_v"),
    "qkv": ("query_key_value", "qkv_proj", "wqkv", "c_attn", "qkv", "in_proj_weight", "attn_qkv", "w_pack"),
    "output": ("o_proj", "out_lin"),
    "up": (
        "up_proj", "fc1", "c_fc", "fc_in", "dense_h_to_4h", "lin1", "wi", "wi_1", "w3", "layer_1", "linear1",
    ),
    "gate": ("gate_proj", "wi_0", "w1"),
    "gate_up": ("gate_up_proj",),
    "down": (
        "down_proj", "fc2", "fc_out", "dense_4h_to_h", "lin2", "w2", "layer_2", "linear2", "ffn_output",
    ),
}  # fmt: skip
"""Names by kind: the last part of a module's name, in lower case; these mean the same wherever they stand."""
_BY_LAST_NAME: dict[str, ModuleKind] = {name: kind for kind, names in _NAMES.items() for name in names}

_BY_PLACE: tuple[tuple[str, ModuleKind], ...] = (
    (rf"{_ATTENTION}(q)$", "query"),
    (rf"{_ATTENTION}(k)$", "key"),
    (rf"{_ATTENTION}(v)$", "value"),
    (rf"{_ATTENTION}(o|wo|c_proj|out_proj|dense|proj|output\.dense)$", "output"),
    (r"(^|\.)intermediate\.dense$", "up"),
    (r"(^|\.)output\.dense$", "down"),
    (r"(^|\.)(mlp|ffn|ff|feed_?forward|dense_?relu_?dense)\.(wo|c_proj|proj|dense_out|out_proj)$", "down"),
    (r"(^|\.)(ffn)$", "up"),
)
"""Kinds by the end of a module's name, in lower case, where the last part alone could mean several things."""

_NORMS_OF_ARCHITECTURES = re.compile(r"(^|\.)(ln_?\w*|norm\w*|\w*norm\w*)$", re.IGNORECASE)
_BIAS_NAMES = re.compile(r"(^|[._])bias$|(^|\.)relative_attention_bias\b", re.IGNORECASE)
_EMBEDDING_NAMES = re.compile(r"(^|\.)(\w*embed\w*|wte|wpe|shared)$|(^|\.)embeddings?\.\w+_embeddings$", re.IGNORECASE)
_FUSED_GATE = ("modernbert",)
"""Architectures whose `Wi` is gate and up in one matrix; T5's is up alone."""


def module_kind(base: BaseMatrices, weight: WeightName, is_matrix: bool) -> ModuleKind:
    """Returns the kind of a weight of `base`: by its name, and for norms and embeddings by the class of its module too."""
    owner = base.owner(weight)
    config = getattr(base.skeleton.model, "config", None)
    kind = kind_of(weight.name, owner, is_matrix=is_matrix, model_type=str(getattr(config, "model_type", "")))
    return "head" if weight.in_head and is_matrix and kind != "embedding" else kind


def kind_of(name: str, owner: nn.Module | None, *, is_matrix: bool, model_type: str = "") -> ModuleKind:
    """Returns the kind of the parameter `name` inside its block.

    owner: the module that has it, or None where it is not known. is_matrix: False for biases and gains. A matrix whose name is
    not known is `other`, as a router of experts and the parts of a state space are.
    """
    name = re.sub(r"\[\d+\]$", "", name)
    module, _, own = name.rpartition(".")
    # Some parameters are no module's `weight`: XLNet's `rel_attn.q`, stacked experts.
    path = module if own in ("weight", "bias") else name
    if _is_norm(path, owner):
        return "norm"
    if _BIAS_NAMES.search(name) or own.endswith("_bias"):
        return "bias"
    if isinstance(owner, nn.Embedding) or (not isinstance(owner, nn.Linear) and _EMBEDDING_NAMES.search(path)):
        return "embedding"
    return _map_kind(path.lower(), model_type) if is_matrix else "other"


def _map_kind(path: str, model_type: str) -> ModuleKind:
    last = path.rpartition(".")[2]
    if last == "wi" and model_type in _FUSED_GATE:
        return "gate_up"
    for pattern, kind in _BY_PLACE:
        if re.search(pattern, path):
            return kind
    return _BY_LAST_NAME.get(last, "other")


def _is_norm(path: str, owner: nn.Module | None) -> bool:
    if owner is not None and "norm" in type(owner).__name__.lower():
        return True
    return bool(_NORMS_OF_ARCHITECTURES.search(path.rpartition(".")[2]))
