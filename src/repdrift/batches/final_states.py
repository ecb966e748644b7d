"""The last hidden state of a model, batch by batch: what a head reads."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from repdrift.batches.batching import Batch, BatchPlan, scales_by_batch
from repdrift.batches.input_checks import require_samples_fit
from repdrift.batches.memory_budget import auto_token_budget, is_out_of_memory
from repdrift.core.errors import ModelError
from repdrift.core.progress import say
from repdrift.models import LearnedPrompt, execution_device
from repdrift.models.full_attention import FullAttention
from repdrift.tasks import SampleSet


class FinalStates:
    """Runs the body of a model, which is put into evaluation mode and stays on its device.

    body: gives the last hidden state (b, t, d), after any final norm. prompt: the learned prompt that it is run with; the virtual tokens
    give no state. token_budget: tokens of one batch, padding included; None: so that activations stay under `memory_cap_bytes`.
    Where memory runs out, batches are halved.
    """

    def __init__(
        self,
        body: nn.Module,
        prompt: LearnedPrompt | None = None,
        *,
        token_budget: int | None = None,
        memory_cap_bytes: int | None = None,
    ) -> None:
        self.body = body.eval()
        self.prompt = prompt
        if prompt is not None:
            prompt.eval()
        itemsize = next(body.parameters()).element_size()
        usual = auto_token_budget(getattr(body, "config", None), itemsize=itemsize, cap_bytes=memory_cap_bytes)
        self.token_budget = 1 if scales_by_batch(body) else token_budget or usual
        parameters = inspect.signature(body.forward).parameters
        self._takes_token_types = "token_type_ids" in parameters
        self._no_cache = {"use_cache": False} if "use_cache" in parameters else {}
        self._attention = FullAttention(body)
        self._most_tokens: int | None = None

    def require_fit(self, samples: SampleSet) -> None:
        """Raises DataError, naming the sample, if one is too long for the model or holds what it has no row for."""
        require_samples_fit(samples, self.body, virtual_tokens=0 if self.prompt is None else self.prompt.tokens)

    def plan(self, samples: SampleSet) -> BatchPlan:
        """The batches of `samples`. Raises DataError, naming the sample, if the model cannot run one."""
        self.require_fit(samples)
        return BatchPlan(samples, token_budget=self.token_budget)

    def of(self, batch: Batch) -> Iterator[tuple[Batch, Tensor]]:
        """The parts that the batch is run in, in order, each with the last hidden state (b, t, d) of its real tokens, on the device.

        Usually one part. Raises ModelError if memory does not suffice for one sample, or the model gives no such state.
        """
        waiting = [batch]
        while waiting:
            part = waiting.pop(0)
            if self._most_tokens is not None and len(smaller := part.split(self._most_tokens)) > 1:
                waiting = [*smaller, *waiting]
                continue
            hidden = self._run(part)
            if hidden is None:
                waiting = [part, *waiting]
                continue
            yield part, hidden

    def _run(self, part: Batch) -> Tensor | None:
        """The last hidden state of one part; None if memory ran out, and parts are to be smaller from now on."""
        width = int(part.inputs["attention_mask"].shape[1])
        try:
            return self._forward(part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(part.sample_indices) == 1:
                raise ModelError(
                    f"memory does not suffice for one sample of {width} tokens (the system says: {error}). Give a smaller --max-length."
                ) from error
        # After the handler, so that the tensors of the failed attempt are freed before the next one.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._most_tokens = max(1, len(part.sample_indices) // 2) * width
        say(f"out of memory at {len(part.sample_indices)} samples of {width} tokens: continuing with half as many")
        return None

    def _forward(self, part: Batch) -> Tensor:
        device = execution_device(self.body)
        inputs = {name: tensor.to(device) for name, tensor in part.inputs.items()}
        if not self._takes_token_types:
            inputs.pop("token_type_ids", None)
        shape = inputs["attention_mask"].shape
        if self.prompt is not None:
            inputs = self.prompt.extended(self.body, inputs)
        with torch.inference_mode(), self._attention.used():
            output = self.body(**inputs, **self._no_cache)
        hidden = getattr(output, "last_hidden_state", None)
        hidden = output[0] if hidden is None else hidden
        if self.prompt is not None:
            hidden = self.prompt.real_tokens(hidden)
        if hidden.shape[:2] != shape:
            raise ModelError(
                f"{type(self.body).__name__} gives a last hidden state of shape {tuple(hidden.shape)}, expected one for each of "
                f"{tuple(shape)} tokens"
            )
        return hidden
