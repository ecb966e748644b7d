"""GGUF files of tiny models, written with the package gguf in the layout that llama.cpp's converter uses."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


def save_gguf(
    model: Any,
    path: Path,
    architecture: str,
    *,
    words: Iterable[str] | None = None,
    metadata: dict[str, Any] | None = None,
    quantised: bool = False,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Write a causal language model of transformers to `path`.

    architecture: llama.cpp's name, for example "llama", "qwen2" or "gpt2". words: the vocabulary; None for "0", "1", ....
    metadata: further keys. quantised: store matrices in Q8_0 (rows of a multiple of 32). extra: further tensors by name.
    """
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    if architecture == "gpt2":
        writer.add_feed_forward_length(config.n_inner or 4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _add_vocabulary(writer, list(words or map(str, range(config.vocab_size))))
    for key, value in (metadata or {}).items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        values = tensor.detach().float().numpy()
        if name.startswith("lm_head") and tied:
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert target is not None, name
        _add(writer, target, _as_llama_cpp(architecture, name, values, config), quantised=quantised)
    for name, values in (extra or {}).items():
        writer.add_tensor(name, np.asarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _as_llama_cpp(architecture: str, name: str, values: np.ndarray, config: Any) -> np.ndarray:
    if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        rows, columns = values.shape  # each head's rows: from two halves to pairs
        return values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    if architecture == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return values.T
    return values


def _add(writer: Any, name: str, values: np.ndarray, *, quantised: bool) -> None:
    import gguf

    values = np.ascontiguousarray(values)
    if quantised and values.ndim == 2:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, values)


def _add_vocabulary(writer: Any, words: list[str]) -> None:
    import gguf

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(words))
    writer.add_token_merges([])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
