"""The files of a PEFT adapter: its configuration, its tensors, and whether it leaves the base model as it is when off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.base_weights import name_under_adapters, tensor_under_adapters
from repdrift.models.folder_contents import ADAPTER_CONFIG
from repdrift.models.json_object import read_json_object
from repdrift.models.learned_prompt import reason_against_prompt
from repdrift.models.model_files import ModelSource, weight_files
from repdrift.models.third_party import first_line, loader_errors

PEFT_PREFIX = "base_model.model."
"""What peft writes before the name of every tensor in an adapter's files."""

_INITIALISATIONS_OF_ADAPTER_ALONE = ("gaussian", "eva", "orthogonal", "mica")
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_REFUSED = {
    "XLORA": "mixes other adapters, which its files do not hold but only name",
    "SHADOW": "runs a second network beside the model, whose states travel with the hidden states",
    "POLY": "mixes its modules by the number of a task, which a sample does not have",
    "ADAPTION_PROMPT": "adds virtual tokens inside the attention",
}
"""Kinds that peft counts among those that change modules, and that act in another way. To load the first two would load other models."""
_RANKS = ("r", "init_r", "target_r")
_ANY_RANK = 4_096
"""Ranks that are made whatever the files hold: they take little memory."""
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of a name that torch adds where a model was compiled, sharded, or checkpointed in training."""


def adapter_config(adapter: ModelSource) -> Any:
    """The adapter's configuration, as peft reads it, with `inference_mode` on.

    Raises ModelError if the configuration cannot be read, names a kind of adapter that the installed peft lacks, or one
    that acts outside the model's modules.
    """
    from peft import PeftConfig, PeftType
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    path = adapter.path / ADAPTER_CONFIG
    kind = read_json_object(path).get("peft_type")
    if kind not in list(PeftType) or kind not in PEFT_TYPE_TO_CONFIG_MAPPING:
        raise ModelError(
            f"{path} names no kind of adapter that the installed peft knows: peft_type is {kind!r}. "
            "Install the version of peft that wrote it."
        )
    with loader_errors(f"{path} cannot be read as the configuration of an adapter"):
        config = PeftConfig.from_pretrained(str(adapter.path))
    config.inference_mode = True
    if config.is_prompt_learning and (reason := reason_against_prompt(config)):
        raise ModelError(
            f"the adapter in {adapter.path} is a learned prompt ({kind}): {reason}. It cannot be compared."
        )
    if reason := _REFUSED.get(str(kind)) or (
        "it is built of megatron's modules" if getattr(config, "megatron_config", None) else None
    ):
        raise ModelError(
            f"the adapter in {adapter.path} is {kind}, and {reason}. It cannot be compared; merge it where it was trained, if its "
            "kind allows that, and give the merged model."
        )
    if invocation := getattr(config, "alora_invocation_tokens", None):
        raise ModelError(
            f"the adapter in {adapter.path} is an activated LoRA: it acts only behind its invocation tokens "
            f"({invocation}), which the samples do not hold. It cannot be compared on these samples."
        )
    return config


def has_lora_matrices(adapter: ModelSource) -> bool:
    """True if the adapter is LoRA or a relative of it, with two matrices for each adapted module. Raises what `adapter_config` raises."""
    from peft import LoraConfig

    return isinstance(adapter_config(adapter), LoraConfig)


def adapter_tensors(adapter: ModelSource) -> dict[str, Tensor]:
    """The tensors in the adapter's files, by name, without what torch adds to names where a model was wrapped in training.

    Raises ModelError if a file is no safetensors file, there is no tensor, or one is empty, quantised, or holds NaN or
    Inf.
    """
    found: dict[str, Tensor] = {}
    for path in weight_files(adapter):
        try:
            with safe_open(path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (not a dict)
        except Exception as error:  # whatever a damaged file provokes in safetensors
            raise ModelError(f"{path} cannot be read as safetensors: {first_line(error)}") from error
        empty = [name for name, tensor in tensors.items() if tensor.numel() == 0]
        if empty:
            raise ModelError(
                f"{path}: tensor {empty[0]} is empty{_and_more(empty)}: the adapter was saved from one process of a sharded "
                "training run. Gather its weights and save it again."
            )
        packed = next((n for n, t in tensors.items() if t.is_floating_point() and t.dtype not in _FLOATS), None)
        if packed is not None:
            raise ModelError(
                f"{path}: tensor {packed} is stored as {str(tensors[packed].dtype).removeprefix('torch.')}, which is quantised. Save "
                "the adapter in float32, float16 or bfloat16."
            )
        wrong = next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)
        if wrong is not None:
            raise ModelError(f"{path}: tensor {wrong} holds NaN or Inf: its training diverged, or the file is damaged")
        found |= {_unwrapped(name): tensor for name, tensor in tensors.items()}
    if not found:
        raise ModelError(f"the adapter in {adapter.path} holds no tensor at all. Save it again, or copy it anew.")
    _require_ranks_in_files(adapter, found)
    return found


def _require_ranks_in_files(adapter: ModelSource, tensors: Mapping[str, Tensor]) -> None:
    """Raises ModelError if the configuration asks for a rank beyond the tensors: peft would make matrices of it before it compares."""
    path = adapter.path / ADAPTER_CONFIG
    config = read_json_object(path)
    patterns = config.get("rank_pattern")
    asked = [config.get(name) for name in _RANKS] + list(patterns.values() if isinstance(patterns, Mapping) else ())
    rank = max((value for value in asked if isinstance(value, int | float)), default=0)
    longest = max(max(tensor.shape, default=1) for tensor in tensors.values())
    if rank > max(longest, _ANY_RANK):
        raise ModelError(
            f"{path} names the rank {rank:,}, and no tensor of the adapter has a side longer than {longest:,}: the two do not belong "
            "together. Copy or download them again."
        )


def reason_against_sharing(adapter: ModelSource, backbone: nn.Module) -> str | None:
    """Returns why this adapter cannot share the base model's weights in memory, or None if its files allow it.

    It can share them if switching it off leaves the base model: none of its tensors belongs into a parameter of `backbone`,
    the base model, unless it holds there what the base model holds already.
    Raises ModelError if the files cannot be read.
    """
    if adapter_config(adapter).is_prompt_learning:
        return "it is a learned prompt, which is run around the base model and not inside it"
    config = read_json_object(adapter.path / ADAPTER_CONFIG)
    if reason := _reason_in_configuration(config):
        return reason
    written = [
        name
        for name, tensor in adapter_tensors(adapter).items()
        if (own := base_tensor_named(name, backbone)) is not None and not _equal(tensor, own)
    ]
    if written:
        return f"its files hold {written[0].removeprefix(PEFT_PREFIX)}{_and_more(written)}, which replaces weights of the base model"
    return None


def _reason_in_configuration(config: Mapping[str, Any]) -> str | None:
    initialised = config.get("init_lora_weights", True)
    reasons = (
        (
            config.get("bias", "none") != "none",
            f"it trained biases ({config.get('bias')!r}), which stay when it is off",
        ),
        (initialisation_changes_base(initialised), f"its initialisation ({initialised!r}) changes the base weights"),
        (config.get("kasa_config") is not None, "its initialisation (KaSA) changes the base weights"),
        (config.get("layer_replication"), "it repeats layers of the base model (layer_replication)"),
        (
            config.get("trainable_token_indices"),
            "it trained rows of the embedding (trainable_token_indices), in a wrapper that other adapters cannot share",
        ),
    )
    return next((reason for holds, reason in reasons if holds), None)


def base_tensor_named(name: str, backbone: nn.Module) -> Tensor | None:
    """The tensor of `backbone` into which a tensor called `name` in an adapter's files would be written, or None."""
    own = name_under_adapters(backbone, name)
    return None if own is None else tensor_under_adapters(backbone, own)


def initialisation_changes_base(initialisation: Any) -> bool:
    """True if LoRA with this initialisation changes the base weights as well (PiSSA, OLoRA, LoftQ and others).

    initialisation: the value of peft's `init_lora_weights`.
    """
    return isinstance(initialisation, str) and initialisation.lower() not in _INITIALISATIONS_OF_ADAPTER_ALONE


def renamed(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], adapter: ModelSource) -> dict[str, Tensor]:
    """The tensors of a file under the names that peft gives them, where the file has more in a name.

    A file that was not written by peft's own `save_pretrained` may have the adapter's name in its names
    ("lora_A.default.weight"), and may lack peft's prefix.
    A module that was saved whole may be there up to three times, if it is an embedding and peft saved embeddings as well:
    what was trained, the same again, and what it was before training, which is passed over.
    expected: by name, the tensors that the adapter has in the model.
    Raises ModelError if two tensors come to have one name, as where the file holds several adapters.
    """
    found: dict[str, Tensor] = {}
    before: dict[str, str] = {}
    for name, tensor in tensors.items():
        if _untrained(name, tensors):
            continue
        new = name if name in expected else next((n for n in _shorter(name) if n in expected), _prefixed(name))
        if new in found and "modules_to_save" in name + before[new] and torch.equal(tensor, found[new]):
            continue
        if new in found:
            raise ModelError(
                f"the adapter in {adapter.path} holds both {before[new]} and {name}, which are one tensor of an adapter: "
                "expected the tensors of a single adapter. Save each adapter into a folder of its own."
            )
        found[new], before[new] = tensor, name
    return found


def _untrained(name: str, tensors: Mapping[str, Tensor]) -> bool:
    """True if this is a tensor of a module before training, beside the trained one."""
    start, found, end = name.partition(".original_module.")
    return bool(found) and any(n.startswith(f"{start}.modules_to_save.") and n.endswith(f".{end}") for n in tensors)


def _shorter(name: str) -> list[str]:
    """`name` with peft's prefix, and without one of its parts; or without "modules_to_save" and one more."""
    name = _prefixed(name)
    parts = name.split(".")
    if "modules_to_save" in parts:
        parts.remove("modules_to_save")
    return [name, ".".join(parts)] + [".".join(parts[:i] + parts[i + 1 :]) for i in range(2, len(parts))]


def _prefixed(name: str) -> str:
    return name if name.startswith("base_model.") else f"{PEFT_PREFIX}{name}"


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.removeprefix("module.").split(".") if part not in _WRAPPERS)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.to(other.dtype), other.detach().cpu())


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
