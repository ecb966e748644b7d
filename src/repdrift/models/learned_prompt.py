"""Learned prompts of peft (prefix, prompt and P-tuning): virtual tokens before the real ones, run as peft runs them.

Prompt tuning and P-tuning put learned embeddings before those of the text. Prefix tuning puts learned keys and values before those
of every attention. Either way the real tokens stand as many positions later as there are virtual ones, and see them.
Only the real tokens' hidden states are given on, so that rows pair with the base model's.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import DataError, ModelError
from repdrift.models.backbone import encoder_decoder_of, headless, unwrapped, wrapper_of_prompt

PROMPT_KINDS = ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING")
"""Kinds of learned prompt that are run; a sample says nothing of what the others (a task's number, a context) need."""


class LearnedPrompt:
    """The learned prompt in a model of peft.

    tokens: the number of virtual tokens. kind: one of `PROMPT_KINDS`.
    Raises ModelError for a prompt of another kind, or one on an encoder-decoder model.
    """

    def __init__(self, wrapper: Any) -> None:
        config = wrapper.active_peft_config
        self.kind = str(getattr(config.peft_type, "value", config.peft_type))
        if reason := reason_against_prompt(config):
            raise ModelError(f"the adapter is a learned prompt ({self.kind}), and {reason}")
        if encoder_decoder_of(unwrapped(wrapper)) is not None:
            raise ModelError(
                f"the adapter is a learned prompt ({self.kind}) on {type(unwrapped(wrapper)).__name__}, which has an encoder and a decoder: "
                "peft gives each its own part of the prompt, which is not supported. Give another kind of adapter, or a full model."
            )
        self.tokens = int(config.num_virtual_tokens)
        self._wrapper = wrapper

    @property
    def is_prefix(self) -> bool:
        """True if the virtual tokens are keys and values only, which have no hidden states of their own."""
        return self.kind == "PREFIX_TUNING"

    def eval(self) -> None:
        """Put what computes the prompt into evaluation mode."""
        self._wrapper.prompt_encoder.eval()

    def extended(self, body: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs that `body`, the model without its head, is to be given in place of `inputs`.

        inputs: `input_ids` (b, t) and, where there are any, `attention_mask` and `token_type_ids` of that shape.
        Raises DataError if `position_ids` are given, since peft drops them.
        """
        given = {name: value for name, value in inputs.items() if value is not None}
        if "position_ids" in given:
            raise DataError(
                f"the inputs have position_ids, and a learned prompt ({self.kind}) puts {self.tokens} tokens before them: leave "
                "position_ids out of the inputs"
            )
        embedded: Any = given.get("inputs_embeds")
        rows: Any = given.get("input_ids") if embedded is None else embedded
        batch, length, where = int(rows.shape[0]), int(rows.shape[1]), rows.device
        mask = given.get("attention_mask")
        if mask is None:
            mask = torch.ones((batch, length), dtype=torch.long, device=where)
        given["attention_mask"] = torch.cat([mask.new_ones((batch, self.tokens)), mask], dim=1)
        prompt: Any = self._wrapper.get_prompt(batch)
        if self.is_prefix:
            return {**given, "past_key_values": prompt}
        if embedded is None:
            embedded = _embedding_of(body)(given.pop("input_ids"))
        given["inputs_embeds"] = torch.cat([prompt.to(embedded), embedded], dim=1)
        if (types := given.get("token_type_ids")) is not None:
            given["token_type_ids"] = torch.cat([types.new_zeros((batch, self.tokens)), types], dim=1)
        return given

    def real_tokens(self, hidden: Tensor) -> Tensor:
        """The hidden states (b, t, d) of the real tokens, out of those of all positions that were run."""
        return hidden if self.is_prefix else hidden[:, self.tokens :]

    @contextmanager
    def inside(self, body: nn.Module) -> Generator[None]:
        """Inside the `with` block, `body` reads the prompt before its inputs and gives the real tokens' states only.

        A head on it then sees as many tokens as it was given labels and ids for. The hooks are removed on leaving.
        """
        signature = inspect.signature(body.forward)

        def before(
            _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            named = signature.bind_partial(*args, **kwargs).arguments
            more = named.pop("kwargs", {})
            return (), self.extended(body, {**named, **more})

        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
            if self.is_prefix:
                return output
            if isinstance(output, tuple):
                return (self.real_tokens(output[0]), *output[1:])
            output["last_hidden_state"] = self.real_tokens(output["last_hidden_state"])
            if output.get("hidden_states") is not None:
                output["hidden_states"] = tuple(self.real_tokens(hidden) for hidden in output["hidden_states"])
            return output

        handles = [body.register_forward_pre_hook(before, with_kwargs=True), body.register_forward_hook(after)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def acts_on(self, body: nn.Module, inputs: Mapping[str, Any]) -> bool:
        """True if the last hidden state of a real token depends on the prompt; also of a model on the meta device.

        No weight of `body` may have gradients, and those of the prompt must.
        """
        parameters = inspect.signature(body.forward).parameters
        with torch.enable_grad():
            given = self.extended(body, inputs)
            if "past_key_values" in given and "past_key_values" not in parameters:
                return False
            return self.real_tokens(body(**given)[0]).requires_grad


def reason_against_prompt(config: Any) -> str | None:
    """Returns in words why a learned prompt of this configuration is not run, or None if it is."""
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if kind not in PROMPT_KINDS:
        known = "prefix tuning, prompt tuning and P-tuning"
        return f"of those that put virtual tokens before the text only {known} are supported, since a {kind} depends on more than the text"
    return None


def learned_prompt_of(model: nn.Module) -> LearnedPrompt | None:
    """The learned prompt that `model`, wrapped or not, is run with; None if it has none, or it is switched off.

    Raises ModelError if it is one that cannot be run here.
    """
    wrapper = wrapper_of_prompt(model)
    return None if wrapper is None else LearnedPrompt(wrapper)


def _embedding_of(body: nn.Module) -> nn.Module:
    return headless(body).get_input_embeddings()  # pyright: ignore[reportCallIssue]
