"""Settings in which the configurations of two models differ, and that change hidden states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_WITHOUT_EFFECT = re.compile(
    r"""
    ^_|_id$|_ids$|drop|initializer|_init$|init_std|loss|label|jitter|_cache$|^output_|^return_dict   # training, heads, outputs
    |^(architectures|auto_map|dtype|torch_dtype|torchscript|model_type|name_or_path|transformers_version)$
    |^(finetuning_task|problem_type|task_specific_params|pretraining_tp|quantization_config|gradient_checkpointing)$
    |^(tie_word_embeddings|vocab_size|chunk_size_feed_forward|tokenizer_class|prefix|remove_invalid_values|transformers_weights)$
    |^(max_position_embeddings|n_positions|n_ctx|max_length|min_length|seq_length|max_sequence_length|model_max_length)$
    """,
    re.VERBOSE,
)
"""Settings of training, of heads and of tables whose rows are compared elsewhere; a model that is only run does not read them."""


def setting_differences(base: Any, tuned: Any) -> list[str]:
    """Each setting that differs in two configurations of one model type, with both values, in words.

    base, tuned: configurations as transformers reads them, in which every setting that is not stated has its default.
    """
    ours, theirs = (dict(_settings(config.to_dict())) for config in (base, tuned))
    differ = [name for name in theirs if name in ours and ours[name] != theirs[name]]
    # A group of settings, such as those of the rotary positions, has others in it for each of its kinds.
    differ += [name for name in sorted(ours.keys() ^ theirs.keys()) if "." in name]
    return [f"{name} ({_value(theirs, name)}; base: {_value(ours, name)})" for name in differ]


def _value(settings: dict[str, Any], name: str) -> str:
    text = str(settings.get(name, "not set"))
    return text if len(text) <= 40 else f"{text[:37]}..."


def _settings(described: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in described.items():
        if _WITHOUT_EFFECT.search(str(name)):
            continue
        if isinstance(value, dict):
            yield from _settings(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
