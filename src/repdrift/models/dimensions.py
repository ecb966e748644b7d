"""Depth and widths of a model, read from its configuration: the object that transformers makes, or the JSON of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repdrift.core.records.representation_set import Stack

ASSUMED_WIDTH = 1024
"""Width for estimates of memory where a configuration does not tell the model's."""

# The names that configurations use, the most telling one first.
_DEPTH_FIELDS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "num_encoder_layers")
_DECODER_DEPTH_FIELDS = ("num_decoder_layers", "decoder_layers")
_WIDTH_FIELDS = ("hidden_size", "d_model", "n_embd", "dim", "word_embed_proj_dim")
_INNER_WIDTH_FIELDS = (
    *("intermediate_size", "ffn_dim", "d_ff", "n_inner", "ffn_hidden_size", "hidden_dim"),
    *("encoder_ffn_dim", "d_inner"),
)
_TEXT_PARTS = ("text_encoder", "decoder", "generator", "text_config")


def depth_of(config: Any, stack: Stack | None = None) -> int | None:
    """Number of blocks that `config` states, or None if it states none.

    config: a configuration object, or the JSON object in a `config.json`; the text part of a model for several kinds of
    input is read. stack: which half of an encoder-decoder model is meant; None means the encoder.
    """
    return next(iter(possible_depths(config, stack)), None)


def possible_depths(config: Any, stack: Stack | None = None) -> list[int]:
    """Every number in `config` that may be the number of blocks, the likeliest first; arguments are those of `depth_of`."""
    encoder_first = (*_DEPTH_FIELDS, *_DECODER_DEPTH_FIELDS)
    fields = (*_DECODER_DEPTH_FIELDS, *_DEPTH_FIELDS) if stack == "decoder" else encoder_first
    return _sizes(text_config(config, stack), fields)


def width_of(config: Any) -> int | None:
    """Features of a hidden state, or None if `config` does not tell. config: a configuration object or a JSON object."""
    return next(iter(_sizes(text_config(config), _WIDTH_FIELDS)), None)


def inner_width_of(config: Any) -> int | None:
    """Features inside the feed-forward part of a block, or None if `config` does not tell.

    config: a configuration object or a JSON object.
    """
    return next(iter(_sizes(text_config(config), _INNER_WIDTH_FIELDS)), None)


def text_config(config: Any, stack: Stack | None = None) -> Any:
    """The part of `config` that describes the text model; `config` itself if it has no such part, or several.

    Where an encoder and a decoder have a part each, `stack` chooses; None means the encoder.
    """
    halves = {name: _entry(config, name) for name in ("encoder", "decoder")}
    if all(_is_config(half) for half in halves.values()):
        return halves[stack or "encoder"]
    if hasattr(config, "get_text_config"):
        try:
            return config.get_text_config()
        except ValueError:  # several parts, and nothing says which is meant
            return config
    parts = [part for part in (_entry(config, name) for name in _TEXT_PARTS) if _is_config(part)]
    return parts[0] if len(parts) == 1 else config


def _sizes(config: Any, fields: tuple[str, ...]) -> list[int]:
    values = [_entry(config, field) for field in fields]
    return [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]


def _entry(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def _is_config(value: Any) -> bool:
    return isinstance(value, Mapping) or hasattr(value, "get_text_config")
