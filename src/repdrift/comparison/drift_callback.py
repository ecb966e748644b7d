"""Drift while a model is trained: a callback for anyone's transformers Trainer, opt-in, with one forward pass at a time."""

from __future__ import annotations

import inspect
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from repdrift.core.errors import ConfigError, DataError, DegenerateInputError, ModelError, RepdriftError
from repdrift.core.progress import say
from repdrift.core.records.representation_set import SINK_POOLING, Pooling, PoolingChoice
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.model_inputs import ModelInputs, sample_set_of
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models import is_causal_decoder, load_backbone, resolve_model, uncompiled
from repdrift.models.mixed_precision import without_mixed_precision
from repdrift.similarity import Representation, measure
from repdrift.tasks import SampleSet

_LEAST_SAMPLES = 4
_MEMORY_CAP_BYTES = 256 << 20
"""For the activations of one batch: beside a training there is little room, and the sample set is small."""


class DriftCallback(TrainerCallback):
    """Logs how far the model under training has moved from a base model, layer by layer, as `drift/layer_3` and `drift/mean`.

    base: the model to measure from: a loaded model, a folder or hub id, or None for the model as it is when training starts. Its rows are
    kept, not the model. sample_set: at least 4 samples, a sample set or what a tokenizer gave for texts (see `extract`); texts that
    are not trained on tell more. every: measure after each so many steps; None: at each evaluation. pooling: as in `extract`; `auto` is
    `mean_without_sinks` for a causal decoder and `mean` for any other model. layers: block numbers; None: all. measure: its name.
    blocks: as in `extract`. The drift is 1 - debiased CKA for the default measure.

    The model runs in its weights' own format, without gradients, dropout and autocast. Its mode and the state of all random generators are put
    back, so that training goes on to the same weights. Only the first process measures. A measurement that fails in training is said once and
    logs nothing; one of the base model raises.
    Raises ConfigError, DataError or UnknownNameError for arguments that make no sense.
    """

    def __init__(
        self,
        base: nn.Module | str | Path | None,
        sample_set: SampleSet | ModelInputs,
        every: int | None = None,
        *,
        pooling: PoolingChoice = "auto",
        layers: list[int] | None = None,
        measure: str = "cka",
        blocks: str | None = None,
    ) -> None:
        if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
            raise ConfigError(
                f"every should be a number of steps, 1 or more, or None for each evaluation; got {every!r}"
            )
        if base is not None and not isinstance(base, nn.Module | str | Path):
            raise ModelError(f"base should be a loaded model, a folder, a hub id or None, got {base!r:.80}")
        self.samples = sample_set if isinstance(sample_set, SampleSet) else sample_set_of(sample_set)
        if len(self.samples) < _LEAST_SAMPLES:
            raise DataError(f"the sample set has {len(self.samples)} samples; at least {_LEAST_SAMPLES} are needed")
        self._base = base
        self._every = every
        self._pooling: PoolingChoice = pooling
        self._layers = layers
        self._measure = _named_measure(measure)
        self._blocks = blocks
        self._sinks: SinkMask | None = None
        self._rows: dict[int, Representation | None] = {}
        self._measured_at: int | None = None
        self._failed = False

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any = None, **rest: Any) -> None:
        """Keep the base model's rows. Raises ConfigError if nothing would ever be measured, or the start of training is gone."""
        del control, rest
        if self._every is None and str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "no":
            raise ConfigError(
                "DriftCallback measures at each evaluation, and this Trainer never evaluates (eval_strategy is no): give every=N "
                "steps, or set eval_strategy"
            )
        if self._base is None and state.global_step > 0:
            raise ConfigError(
                f"DriftCallback has base None, the model as it is when training starts, and this training continues at step {state.global_step}: "
                "give the model that training started from"
            )
        if getattr(args, "fsdp", None) or getattr(args, "deepspeed", None):
            raise ConfigError(
                "DriftCallback needs the whole model in one process, which FSDP and DeepSpeed do not keep"
            )
        if not state.is_world_process_zero:
            return
        self._measured_at, self._failed = None, False
        with _as_it_was(model):
            self._rows = self._rows_of_base(model)

    def on_evaluate(self, args: Any, state: Any, control: Any, *, model: Any = None, **rest: Any) -> None:
        """Measure, unless steps are counted."""
        if self._every is None:
            self._measure_and_log(args, state, control, model, _calling_handler(), rest)

    def on_step_end(self, args: Any, state: Any, control: Any, *, model: Any = None, **rest: Any) -> None:
        """Measure if a measurement is due after this step."""
        if self._every is not None and state.global_step % self._every == 0:
            self._measure_and_log(args, state, control, model, _calling_handler(), rest)

    def drift(self, model: nn.Module) -> dict[str, float]:
        """The drift of `model`, by the name it is logged under; a layer in which it is undefined is absent, and then so is the mean.

        Raises DataError if there are no rows of the base model yet; what `extract` raises.
        """
        if not self._rows:
            raise DataError("DriftCallback has no rows of the base model yet: they are taken when training starts")
        with _as_it_was(model):
            rows = self._extractor(model, self._sinks).extract(self.samples, what="drift")
        found: dict[str, float] = {}
        for layer, before in self._rows.items():
            after = _representation(rows[layer])
            if before is None or after is None:
                continue
            try:
                value = self._measure.compare(self._measure.prepare(before), self._measure.prepare(after))
            except DegenerateInputError:
                continue
            found[f"drift/layer_{layer}"] = float(self._measure.drift(value))
        if len(found) == len(self._rows):
            found["drift/mean"] = float(np.mean(list(found.values())))
        return found

    def _measure_and_log(
        self, args: Any, state: Any, control: Any, model: Any, handler: Any, rest: Mapping[str, Any]
    ) -> None:
        if not state.is_world_process_zero or not self._rows or self._measured_at == state.global_step:
            return
        self._measured_at = state.global_step
        logs, why = {}, "the drift is not defined in any layer, since all samples have the same representation"
        try:
            logs = self.drift(model)
        except RepdriftError as error:
            why = str(error)
        if not logs:
            if not self._failed:
                say(f"DriftCallback: nothing is logged at step {state.global_step}: {why}")
            self._failed = True
            return
        if state.epoch is not None:
            logs["epoch"] = state.epoch
        state.log_history.append({**logs, "step": state.global_step})
        # As Trainer.log does it, which a callback cannot call. `control` stays as it is: a log of the loss may be due.
        for callback in getattr(handler, "callbacks", ()):
            if callback is not self:
                callback.on_log(
                    args,
                    state,
                    control,
                    logs=dict(logs),
                    model=model,
                    **{k: v for k, v in rest.items() if k != "metrics"},
                )

    def _rows_of_base(self, model: nn.Module) -> dict[int, Representation | None]:
        base = self._base
        dtype = _dtype(model)
        if base is None:
            base = model
        elif not isinstance(base, nn.Module):
            source = resolve_model(str(base))
            if source.is_adapter:
                raise ModelError(f"base {str(base)!r} is an adapter; give the model that training starts from")
            device = next(model.parameters()).device
            base = nn.Module.to(load_backbone(source, dtype=str(dtype).removeprefix("torch.")), device)
        if _dtype(base) != dtype:
            raise ModelError(
                f"base has weights in {_dtype(base)}, and the model under training in {dtype}: the drift would show the rounding too. Load "
                "base in the same format, or give base=None"
            )
        pooling = self._resolved(base)
        open_mask = SinkMask() if pooling == SINK_POOLING else None
        with _as_it_was(base):
            reader = self._extractor(base, open_mask)
            rows = reader.extract(self.samples, what="base model of the drift")
        self._sinks = None if open_mask is None else SinkMask.of(open_mask.record(self.samples), self.samples)
        if base is not model and (depth := len(self._extractor(model, self._sinks).blocks)) != len(reader.blocks):
            raise ModelError(
                f"the model under training has {depth} layers, and base has {len(reader.blocks)}: layer i of one has no counterpart in the "
                "other. Give the model that training starts from."
            )
        return {layer: _representation(values) for layer, values in rows.items()}

    def _extractor(self, model: nn.Module, sinks: SinkMask | None) -> RepresentationExtractor:
        extractor = RepresentationExtractor(
            model,
            layers=self._layers,
            pooling=self._resolved(model),
            blocks=self._blocks,
            memory_cap_bytes=_MEMORY_CAP_BYTES,
            sinks=sinks,
        )
        # What a model keeps for itself in a pass under inference_mode could not be used in training.
        extractor.without_gradients = torch.no_grad
        return extractor

    def _resolved(self, model: nn.Module) -> Pooling:
        if self._pooling != "auto":
            return self._pooling
        return SINK_POOLING if is_causal_decoder(getattr(uncompiled(model), "config", None)) else "mean"


def _named_measure(name: str) -> Any:
    found = measure(name)
    if not found.paired or found.held_out:
        raise ConfigError(f"measure {name!r} cannot be tracked in training; take cka")
    return found


def _representation(rows: Tensor) -> Representation | None:
    """The rows for measures, or None if all are alike, so that no similarity is defined."""
    try:
        return Representation(rows.cpu())
    except DegenerateInputError:
        return None


def _dtype(model: nn.Module) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _calling_handler() -> Any:
    """The Trainer's handler of callbacks, which is calling; it alone knows the other callbacks, among them those that report."""
    from transformers.trainer_callback import CallbackHandler

    frame = inspect.currentframe()
    for _ in range(4):
        frame = None if frame is None else frame.f_back
        caller = None if frame is None else frame.f_locals.get("self")
        if isinstance(caller, CallbackHandler):
            return caller
    return None


@contextmanager
def _as_it_was(model: nn.Module) -> Generator[None]:
    """Put back the mode of every module and the state of all random generators, and run without mixed precision, inside the block."""
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (the generator that training uses)
    try:
        with (
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
            without_mixed_precision(model),
        ):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)  # noqa: NPY002
        for module, training in modes.items():
            module.training = training
