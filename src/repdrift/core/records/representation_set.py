"""metadata.json of a representation set: written last, so that a set without it is unfinished."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.base import Record
from repdrift.core.records.quantised_base import QuantisedBase
from repdrift.core.records.run import Learnt
from repdrift.core.records.sink_tokens import SinkTokens

METADATA_FILE = "metadata.json"
SET_FORMAT_VERSION = 1
BASE_METHOD = "base"
RANDOM_CHANGE_METHOD = "random_change"
"""The base model after a random change: noise moved each weight as far as training did (the same norm)."""
ADAPTER_FOLDER = "adapter_weights"

Pooling = Literal["mean", "last", "first", "cls", "mean_skip_first", "tokens", "mean_without_sinks"]
PoolingChoice = Literal["auto", Pooling]
"""What a user may ask for; `auto` becomes `mean_without_sinks` for a causal decoder and `mean` for any other model."""
SINK_POOLING: Pooling = "mean_without_sinks"
PoolOver = Literal["all", "prompt", "completion"]
"""The tokens of a sample that a pooling takes: all, or of a task with completions those of the prompt or of the completions."""
PayloadFormat = Literal["pt", "safetensors"]
Stack = Literal["encoder", "decoder"]
"""The half of an encoder-decoder model that is run for its hidden states."""


class AdapterLayer(Record):
    """The LoRA matrices of one block, one entry per adapted module."""

    layer: int
    modules: list[str]
    rank: dict[str, int]
    scaling: dict[str, float]


class ModuleChange(Record):
    """The distance of one parameter of the tuned model from the base model's; norms are Frobenius norms, dimensionless.

    For LoRA the change is scaling * B A on the adapted weight. A field that does not apply is null: `stable_rank` of
    anything but a matrix, `relative_change` of a weight that is zero in the base model, the fields of LoRA for a full
    fine-tune.
    """

    layer: int | None
    """The block, or null for what lies outside all blocks (embeddings, final norm)."""
    module: str
    """The parameter's name inside its block, or inside the backbone where `layer` is null."""
    norm: float
    """||W|| in the base model."""
    change_norm: float
    """||dW||."""
    relative_change: float | None
    """||dW|| / ||W||."""
    stable_rank: float | None
    """||dW||_F^2 / ||dW||_2^2, in [1, rank]; 0 where nothing changed."""
    rank: int | None = None
    """LoRA's r (summed over the active adapters)."""
    scaling: float | None = None
    """LoRA's scaling, as peft has it; null where several adapters of different scaling are active."""
    effective_rank: float | None = None
    """exp(entropy of the normalised singular values) of the change; 0 where nothing changed."""
    rank_utilisation: float | None = None
    """Share of the r singular values that carry 99 % of ||dW||_F^2; 0 where nothing changed."""
    note: str | None = None
    """The part of the change that these numbers do not cover."""


class RandomChange(Record):
    """The origin of a set of method `random_change`: the run whose change is matched in size, the noise, and how closely.

    Norms are Frobenius norms, dimensionless. The task and seed of the run are those of the set.
    """

    method: str
    """The run's method."""
    noise_seed: int
    changes_digest: str
    """`changes_digest` of the run's `weight_changes`."""
    weights_moved: int
    change_norm: float
    """The norm of the noise over all weights moved, after rounding to the model's precision."""
    largest_norm_error: float
    """Largest | ||noise|| / ||dW|| - 1 | over the weights moved: rounding to the model's precision."""
    not_moved: list[str]
    """The run's `weights_not_compared`: the part of its change beyond the weights moved here."""


class SetMetadata(Record):
    """The content of a representation set and its origin."""

    format_version: Literal[1] = SET_FORMAT_VERSION
    key: str
    """Hash of everything that determines the content: same key, same content."""
    task: str
    method: str
    """`base`, `full_finetune`, `lora`, or another name for a model trained elsewhere; `random_change` for the control."""
    seed: int | None
    step: int
    """0 is the final model; a checkpoint uses its own training step."""
    model: str
    model_revision: str | None = None
    weights_digest: str
    """SHA-256 over the weight files that were loaded."""
    base_weights_digest: str | None = None
    """For an adapter or a fine-tune: the digest of the base model it came from, where known."""
    settings: dict[str, str] = {}
    """SHA-256 of what gives the weights their meaning: `base/config.json`, and for a tuned model `tuned/config.json` or
    `tuned/adapter_config.json`; of the entries that change numbers. Empty in older records, and for GGUF files, which hold
    their settings among the weights. The tokenizer's work is in `sample_set_fingerprint`."""
    sample_set_fingerprint: str
    sample_ids: list[str]
    sample_groups: list[str] | None = None
    """The group of each sample, in order, such as its paragraph; null where each stands alone, and in sets of older versions."""
    sample_group_unit: str = "group"
    """A group in one word."""
    truncated_samples: int
    """The number of samples that were cut at the maximum length."""
    pooling: Pooling
    pool_over: PoolOver = "all"
    """The tokens that the pooling takes."""
    dtype: str
    """Floating-point type of the payload."""
    compute_dtype: str
    """Floating-point type in which the model ran."""
    layers: list[int]
    shape: list[int]
    """Shape of one layer's tensor: (samples, features), or (tokens, features) for pooling `tokens`; other sites have it too."""
    sites: list[str] = ["resid_post"]
    """The sites that the set holds, see `core.records.sites`; only the residual stream in sets of older versions."""
    site_layers: dict[str, list[int]] = {}
    """By site other than `resid_post` the layers that have it: -1 for `embeddings`, the number of blocks for `final_norm`."""
    sites_left_out: dict[str, str] = {}
    """Sites that were asked for and that this model has nowhere, each with the reason: `adapter_out` of a model without an adapter."""
    tokens_per_sample: list[int] | None = None
    """For pooling `tokens`: real tokens of each sample, in order."""
    sinks: SinkTokens | None = None
    """For pooling `mean_without_sinks`: the tokens left out, found on the base model; else null."""
    payload: PayloadFormat
    virtual_tokens: int = 0
    """Positions of a learned prompt before every sample, which give no rows; 0 for a model without one."""
    adapter: list[AdapterLayer] | None = None
    weight_changes: list[ModuleChange] | None = None
    """The change of every weight that base and tuned model share; null where it was not measured."""
    weights_not_compared: list[str] | None = None
    """Weights outside that comparison, each with the reason: new heads, what LoRA's numbers cannot cover."""
    random_change: RandomChange | None = None
    """For method `random_change`, else null. `weights_digest` is then the base model's."""
    files: dict[str, str]
    """SHA-256 of every payload file, by path below the set's folder."""
    file_sizes: dict[str, int] = {}
    """Bytes of every payload file, by the same paths. Empty in sets of older versions."""
    run_metrics: dict[str, float | None] | None = None
    """The training run's evaluation metrics at this step, where the model came from a run that scored it."""
    run_learnt: Learnt | None = None
    """Whether that run's final model has learnt its task; null for checkpoints, and where it is not known, as in sets of older versions."""
    run_quantised_base: QuantisedBase | None = None
    """The base model in few bits on which that run trained its adapter; the set is of the adapter on the full one. Null: it trained in full."""
    trained_steps: int | None = None
    """Optimiser steps that the model was trained for: of a checkpoint its step, of the final model the last or the kept step.
    Null where it is not known, as in sets of older versions."""
    created: str
    versions: dict[str, str]
    extraction: dict[str, Any] = {}
    """Settings that do not change the result beyond floating-point noise: batch budget, device, seconds."""


def changes_digest(changes: Iterable[ModuleChange]) -> str:
    """SHA-256 of which weights were moved and how far, in any order; weights that did not move do not count."""
    moved = sorted(
        (-1 if c.layer is None else c.layer, c.module, c.change_norm) for c in changes if c.change_norm > 0.0
    )
    return config_sha256({"changes": moved})
