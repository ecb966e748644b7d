"""Rounding in a tuned model's files: which weights it concerns, and the base model rounded in the same way as a control."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from repdrift.comparison.base_model import BaseModel
from repdrift.comparison.measured import Gap, Measured, reason_of
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import RepdriftError
from repdrift.models import ModelSource, read_json_object
from repdrift.models.checkpoint import stored_tensors
from repdrift.models.gguf_file import read_gguf_header

T = TypeVar("T")

# The coarsest first, so that a weight gets the coarsest format that holds it. A weight whose values all are, say, 0 or 1
# gets one that is too coarse, which does no harm: the base model's weight has nearly always the same values.
_FORMATS = {
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_STORED = {"F8_E4M3": "float8", "F8_E5M2": "float8", "BF16": "bfloat16", "F16": "float16"}
_LOOK_FIRST = 4096
"""Values that are looked at before all of them: nearly every float32 weight shows itself there."""
_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class RoundedAlike:
    """Models whose weights were rounded in the same way. rounded: by parameter of the backbone, the format."""

    rounded: Mapping[str, str]
    names: list[str]


def coarse_formats(tuned: nn.Module) -> dict[str, str]:
    """Returns by parameter the coarsest format that holds every value of it, where that is coarser than float32.

    tuned: a loaded backbone. The values tell it, not the files' headers: so a float32 file of weights that were bfloat16 before is
    recognised, and so are packed ones. Of an adapter, the parts that it saved whole are looked at.
    """
    formats = {name: _coarsest_format(weight) for name, weight in _own_weights(tuned)}
    return {name: number_format for name, number_format in formats.items() if number_format is not None}


def note_precision(base: nn.Module, names: Iterable[str], measured: Measured, *, controls: bool) -> None:
    """Finds which weights of the models `names` were rounded and those of the base model were not, and notes what that means.

    base: the loaded backbone; it may carry adapters. measured: `coarse` is read; `rounded` and `alike` are filled. controls: whether
    the control of rounding follows.
    """
    weights = _base_weights(base)
    total = sum(weight.numel() for weight in weights.values())
    for name in names:
        formats = measured.coarse[name]
        shared = {key: number_format for key, number_format in formats.items() if key in weights}
        alike = {key: number_format for key, number_format in shared.items() if _holds(weights[key], number_format)}
        rounded = {key: number_format for key, number_format in shared.items() if key not in alike}
        if rounded:
            measured.rounded[name] = rounded
            measured.note(name, [_rounding_note(rounded, controls=controls)])
        for number_format in _FORMATS:
            if 2 * sum(weights[key].numel() for key, held in alike.items() if held == number_format) > total:
                measured.alike[name] = number_format


def rounded_alike(rounded: Mapping[str, Mapping[str, str]]) -> list[RoundedAlike]:
    """Puts together the models whose weights were rounded in the same way. rounded: by model."""
    groups: list[RoundedAlike] = []
    for name, formats in rounded.items():
        group = next((group for group in groups if group.rounded == formats), None)
        if group is None:
            groups.append(RoundedAlike(formats, [name]))
        else:
            group.names.append(name)
    return groups


def adapter_notes(adapter: ModelSource) -> list[str]:
    """A sentence if most numbers in an adapter's files are stored in a format coarser than float32; only headers are read."""
    sizes: dict[str, int] = {}
    total = 0
    for tensor in stored_tensors(adapter).values():
        total += tensor.numel
        if tensor.stored_dtype in _STORED:
            known = _STORED[tensor.stored_dtype]
            sizes[known] = sizes.get(known, 0) + tensor.numel
    if 2 * sum(sizes.values()) <= total:
        return []
    return [
        f"Its files hold {max(sizes, key=lambda name: sizes[name])}, so the change that it makes is rounded to that; the base model's "
        "weights under it are not."
    ]


def note_quantisation(base: ModelSource, tuned: TunedModel, measured: Measured) -> None:
    """Keeps that a model was quantised otherwise than the base model, so that nobody knows what its rounding makes."""
    theirs = _quantisation(tuned.source)
    if theirs is None or theirs == _quantisation(base):
        return
    measured.not_repeatable.add(tuned.name)
    reason = f"weights quantised as {theirs} cannot be made here from the base model's. Compare with the base model quantised in the same way."
    measured.gaps.append(Gap(tuned.name, "rounding", reason))


def _quantisation(source: ModelSource) -> str | None:
    """Says in a few words how the weights in the files are quantised; None if they are ordinary numbers."""
    if source.gguf_file:
        header = read_gguf_header(source.path / source.gguf_file)
        return f"{header.precision} (GGUF)" if header.is_quantised else None
    path = source.path / "config.json"
    settings = read_json_object(path).get("quantization_config") if path.is_file() and not source.is_adapter else None
    return str(settings.get("quant_method", "another format")) if isinstance(settings, dict) else None


def float32_base(base: BaseModel) -> BaseModel | None:
    """The base model to be run in float32 beside a run in a coarser format; None if the run is in float32."""
    if base.options.compute_dtype == "float32":
        return None
    return BaseModel(base.source, base.options.model_copy(update={"compute_dtype": "float32"}))


def run_rounded(
    base: BaseModel, group: RoundedAlike, run: Callable[[nn.Module], T], missing: Callable[[Gap], None]
) -> T | None:
    """Runs the base model with its weights rounded as those of the models in `group` are, and returns what `run` returns.

    The base model is freed after it, since its weights are changed in place. Where the control cannot be made it returns
    None, and `missing` gets the reason.
    """
    try:
        with base.without_adapters() as model:
            round_weights(model, group.rounded)
            return run(model)
    except RepdriftError as error:
        for name in group.names:
            missing(Gap(name, "rounding", reason_of(error)))
        return None
    finally:
        base.free()


def round_weights(model: nn.Module, rounded: Mapping[str, str]) -> None:
    """Rounds the named weights of `model` in place: each is cast to its format, and back."""
    weights = _base_weights(model)
    with torch.no_grad():
        for name, number_format in rounded.items():
            weights[name].copy_(_cast(weights[name], number_format))


def _rounding_note(rounded: Mapping[str, str], *, controls: bool) -> str:
    held = list(rounded.values())
    how_much = (
        "the control of rounding says how much." if controls else "without the controls it is not known how much."
    )
    return (
        f"Its weights are rounded to {max(set(held), key=held.count)} and the base model's are not, so a part of its drift and of the "
        f"change of its weights is rounding; {how_much}"
    )


def _own_weights(tuned: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weights that a tuned model does not share with the base model, under the names that the base model gives them."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    if not any(isinstance(module, (BaseTunerLayer, ModulesToSaveWrapper)) for module in tuned.modules()):
        yield from tuned.named_parameters()
        return
    for path, module in tuned.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            saved: Any = module
            for adapter in (a for a in saved.active_adapters if a in saved.modules_to_save):
                for name, parameter in saved.modules_to_save[adapter].named_parameters():
                    yield _base_name(f"{path}.{name}"), parameter


def _base_weights(model: nn.Module) -> dict[str, Tensor]:
    """The base model's own weights by name; what adapters have put around them is left out."""
    return {
        _base_name(name): parameter for name, parameter in model.named_parameters() if ".modules_to_save." not in name
    }


def _base_name(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in ("base_layer", "original_module"))


def _coarsest_format(weight: Tensor) -> str | None:
    if not weight.is_floating_point() or weight.is_meta or not weight.numel():
        return None
    found = next((name for name in _FORMATS if _holds(weight, name)), None)
    # A weight that training or pruning made zero fits every format, and was not rounded to one.
    return found if found is not None and bool(weight.any()) else None


def _holds(weight: Tensor, number_format: str) -> bool:
    """Tells whether every value of `weight` is a number of the format."""
    values = weight.detach().reshape(-1)
    first = values[:_LOOK_FIRST]
    if not torch.equal(_cast(first, number_format), first):
        return False
    return all(torch.equal(_cast(part, number_format), part) for part in values.split(_AT_ONCE))


def _cast(values: Tensor, number_format: str) -> Tensor:
    return values.detach().to(_FORMATS[number_format]).to(values.dtype)
