"""The longest input that a model has positions for, read off its position tables: they are right where configurations are not.

RoBERTa's configuration says 514 and the model takes 512 tokens, OPT's says 2048 and its table has 2050 rows. A model with
relative, rotary or ALiBi positions has no table, and its configuration says only what it was trained for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.length_limit import LengthLimit
from repdrift.models.backbone import Stack, backbone_of
from repdrift.models.dimensions import text_config
from repdrift.models.skeleton import backbone_skeleton

_TABLE = re.compile(r"wpe|(char_)?pos(ition)?s?_(embed(ding)?s?|encodings?)|embed_positions")
_OTHER_INPUTS = ("entity_embeddings", "patch_embed", "vision", "image", "visual", "audio")
"""Parts of names of modules that embed something else than the tokens of the text."""
_LENGTH_FIELDS = (
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "n_ctx"),
    "max_encoder_position_embeddings",
)


def length_limit(model: nn.Module, stack: Stack | None = None) -> LengthLimit:
    """The longest input of a model, from all position tables in it: the smallest decides.

    model: a module of transformers, loaded or on the meta device; for one stack of an encoder-decoder, its backbone.
    stack: whose configuration tells what was trained for; None means the encoder.
    """
    config = getattr(model, "config", None)
    text = text_config(config, stack) if config is not None else None
    trained = _trained_for(text) if text is not None else None
    found = [*_tables(model), *_alibi_limit(config), *_scaling_limit(text)]
    if not found:
        return LengthLimit(trained=trained)
    most, reason = min(found, key=lambda limit: limit[0])
    return LengthLimit(most, trained, reason)


def length_limit_of_config(config: Any, stack: Stack | None = None) -> LengthLimit:
    """The longest input of a model before its weights are loaded: its architecture is built on the meta device.

    config: a configuration of transformers. If the architecture cannot be built, what the configuration says is taken as
    what the model was trained for; loading the model then fails with a reason of its own.
    """
    skeleton = backbone_skeleton(config)
    if skeleton is None:
        return LengthLimit(trained=_trained_for(text_config(config, stack)))
    with suppress(ModelError):  # a stack that is not there is refused where the model is run
        skeleton = backbone_of(skeleton, stack)
    return length_limit(skeleton, stack)


def embedding_rows(model: nn.Module) -> int | None:
    """Number of token ids that the embedding of `model` has a row for, or None if it has no such table.

    model: a module of transformers, with or without adapters.
    """
    try:
        embedding = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    except (AttributeError, NotImplementedError):
        embedding = None
    if embedding is None:  # FSMT names none
        embedding = next((m for name, m in model.named_modules() if name.split(".")[-1] == "embed_tokens"), None)
    return _rows_of(embedding)


def token_type_rows(model: nn.Module) -> int | None:
    """Number of token types that `model` has a row for, or None if it has no such table."""
    rows = [
        _rows_of(module) for name, module in model.named_modules() if name.split(".")[-1] == "token_type_embeddings"
    ]
    return min((count for count in rows if count is not None), default=None)


def position_rows(model: nn.Module) -> int | None:
    """Number of position ids that the tables of `model` have a row for, or None if it has no such table."""
    rows = [
        count - getattr(module, "offset", 0)
        for name, module in model.named_modules()
        if _TABLE.fullmatch(name.split(".")[-1]) and (count := _rows_of(module)) is not None and not _grows(module)
    ]
    return min(rows, default=None)


def _tables(model: nn.Module) -> Iterator[tuple[int, str]]:
    """For every position table, the tokens that it has room for, and a few words on it."""
    for name, module in model.named_modules():
        *above, leaf = name.split(".")
        if any(part in name for part in _OTHER_INPUTS):
            continue
        if _TABLE.fullmatch(leaf) and (rows := _rows_of(module)) is not None and not _grows(module):
            before = _rows_before_first_token(module)
            words = f"its position table has {rows} rows" + (f", {before} of them not for tokens" if before else "")
            if type(module).__name__ == "ProphetNetPositionalEmbeddings" and "decoder" in above:
                before += 1  # the stream that predicts stands one position further
            in_encoder = "encoder" in above or "Encoder" in type(model).__name__
            yield _in_whole_windows(rows - before, model) if in_encoder else rows - before, words
            numbers = dict(model.get_submodule(".".join(above)).named_buffers(recurse=False)).get("position_ids")
            if numbers is not None:  # Nystromformer, YOSO: fewer positions are numbered than the table has rows
                yield int(numbers.shape[-1]), f"it numbers {int(numbers.shape[-1])} positions"
        for leaf, table in module.named_buffers(recurse=False):  # GPT-J, CodeGen, CTRL: computed once, for so many
            if leaf in ("embed_positions", "pos_encoding") and table.dim() == 2:
                yield int(table.shape[0]), f"its table of computed positions has {int(table.shape[0])} rows"


def _rows_of(module: Any) -> int | None:
    weight = getattr(module, "weight", None)
    return int(weight.shape[0]) if isinstance(weight, Tensor) and weight.dim() == 2 else None


def _grows(module: nn.Module) -> bool:
    """True for a table that is computed anew for a longer input (FSMT)."""
    return hasattr(module, "get_embedding")


def _rows_before_first_token(module: Any) -> int:
    """Rows that no token of an unpadded sample uses: two of OPT and BART, those up to the padding's row of RoBERTa."""
    offset, padding = getattr(module, "offset", None), getattr(module, "padding_idx", None)
    if isinstance(offset, int):
        return offset
    return padding + 1 if isinstance(padding, int) else 0


def _in_whole_windows(most: int, model: nn.Module) -> int:
    """`most`, or in LED, whose encoder pads every input to whole windows of attention, what whole windows hold of it."""
    config = getattr(model, "config", None)
    windows = _entry(config, "attention_window")
    if _entry(config, "model_type") != "led" or not windows:
        return most
    window = windows if isinstance(windows, int) else max(windows)
    return most // window * window


def _alibi_limit(config: Any) -> list[tuple[int, str]]:
    """MPT computes its ALiBi for `max_seq_len` tokens and takes no more; other models with ALiBi take any length."""
    most = _entry(config, "max_seq_len")
    if _entry(config, "model_type") != "mpt" or not isinstance(most, int):
        return []
    return [(most, f"its configuration says max_seq_len {most}")]


def _scaling_limit(config: Any) -> list[tuple[int, str]]:
    """Tokens up to which rotary positions are the same for all samples.

    `dynamic` and `longrope` scale positions by the longest input of a batch (`dynamic` even by those of batches before it), once
    it is beyond the original length. A sample's numbers would then depend on its companions.
    """
    limits: list[tuple[int, str]] = []
    for rope in _rotary(config):
        kind = rope.get("rope_type", rope.get("type"))
        if kind not in ("dynamic", "longrope"):
            continue
        name = "original_max_position_embeddings"
        original = rope.get(name) or _entry(config, name) or _entry(config, "max_position_embeddings")
        if isinstance(original, int) and original > 0:
            why = f"beyond {original}, rotary positions of type {kind!r} depend on the other samples of a batch"
            limits.append((original, why))
    return limits


def _rotary(config: Any) -> list[Mapping[str, Any]]:
    """The settings of rotary positions: of the whole model, or one for each type of layer."""
    rope = _entry(config, "rope_parameters") or _entry(config, "rope_scaling")
    if not isinstance(rope, Mapping):
        return []
    return [rope, *(part for part in rope.values() if isinstance(part, Mapping))]


def _trained_for(config: Any) -> int | None:
    """Tokens of the longest input in training as `config` tells them, with positions stretched by their factor."""
    values = (_entry(config, name) for name in _LENGTH_FIELDS)
    longest = next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 < v < 10**9), None)
    if longest is None:
        return None
    # The other kinds (YaRN, Llama 3) name the stretched length, and the original one beside it.
    factors = [rope.get("factor") for rope in _rotary(config) if rope.get("rope_type", rope.get("type")) == "linear"]
    return int(longest * max((f for f in factors if isinstance(f, int | float)), default=1))


def _entry(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
