"""Continuations that are drafted for prompts of several lengths at once are those of each prompt alone, whatever padding does to a model."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from repdrift.training.task_kinds import greedy_continuations as module
from repdrift.training.task_kinds.greedy_continuations import Prompt, greedy_continuations

SMALL = {
    "llama": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 2},  # ALiBi: positions by distance
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},  # a state that runs through padding
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]], "window_size": 4, "max_position_embeddings": 64},
}  # fmt: skip
STEPS = 7


def made(name):
    torch.manual_seed(1)
    config = AutoConfig.for_model(name, vocab_size=50, bos_token_id=1, eos_token_id=2, pad_token_id=0, **SMALL[name])
    return AutoModelForCausalLM.from_config(config).eval()


def prompts_of(lengths, stop=None):
    draws = torch.Generator().manual_seed(0)
    return [Prompt(torch.randint(3, 50, (length,), generator=draws).tolist(), stop) for length in lengths]


def alone(model, prompt, end):
    """One forward pass of the whole text for each token."""
    text = list(prompt.ids)
    with torch.inference_mode():
        while len(text) < len(prompt.ids) + STEPS:
            token = int(model(torch.tensor([text])).logits[0, -1].argmax())
            if token in (end, prompt.stop):
                break
            text.append(token)
    return text[len(prompt.ids) :]


def written(model, prompts, end=None):
    return greedy_continuations(model, prompts, end=end, pad=0, max_new_tokens=STEPS, what="test")


@pytest.fixture
def runs(monkeypatch):
    """The lengths of the prompts that are run together, for every batch."""
    seen = []
    real = module._generated

    def generated(model, prompts, *rest):
        seen.append([len(prompt) for prompt in prompts])
        return real(model, prompts, *rest)

    monkeypatch.setattr(module, "_generated", generated)
    return seen


@pytest.mark.parametrize("name", SMALL)
def test_each_prompt_is_continued_as_if_it_were_alone(name):
    model = made(name)
    prompts = prompts_of([3, 9, 4, 4, 17, 6, 11])
    free = [alone(model, prompt, None) for prompt in prompts]
    assert written(model, prompts) == free
    end = free[1][3]
    ended = [alone(model, prompt, end) for prompt in prompts]
    assert written(model, prompts, end) == ended
    assert min(map(len, ended)) < STEPS
    own = [Prompt(prompt.ids, free[i][2] if i % 2 else None) for i, prompt in enumerate(prompts)]
    assert written(model, own) == [alone(model, prompt, None) for prompt in own]


def test_prompts_of_several_lengths_are_run_together(runs):
    written(made("llama"), prompts_of([3, 9, 4, 4, 17, 6, 11]))
    assert runs == [[3, 4, 4, 6, 9, 11, 17]]


def test_drafts_of_a_model_that_sees_padding_are_thrown_away(monkeypatch, runs):
    model = made("llama")
    monkeypatch.setattr(module, "_BATCH", 3)
    seen = module._generated

    def blind(model, prompts, *rest):
        texts = seen(model, prompts, *rest)
        return [[3] * len(text) for text in texts] if len({len(p) for p in prompts}) > 1 else texts

    monkeypatch.setattr(module, "_generated", blind)
    prompts = prompts_of([3, 9, 4, 4, 17, 6, 11])
    assert written(model, prompts) == [alone(model, prompt, None) for prompt in prompts]
    assert runs == [[3, 4, 4], [3], [9], [4, 4], [17], [6], [11]]  # no second draft


def test_a_single_wrong_token_is_found_wherever_it_stands(monkeypatch):
    model = made("llama")
    prompts = prompts_of([3, 9, 4, 17])
    right = [alone(model, prompt, None) for prompt in prompts]
    ids = [list(prompt.ids) for prompt in prompts]
    for limit in (module.LOGIT_BYTES, 1):  # together, and one text at a time
        monkeypatch.setattr(module, "LOGIT_BYTES", limit)
        assert module._are_greedy(model, ids, right, 0) == [True] * 4
        for at in range(STEPS):
            changed = [
                [*text[:at], (text[at] + 1) % 50, *text[at + 1 :]] if i == 2 else text for i, text in enumerate(right)
            ]
            assert module._are_greedy(model, ids, changed, 0) == [True, True, False, True]


def test_a_model_that_gives_all_logits_is_read_as_well():
    model = made("llama")
    prompts = prompts_of([3, 9, 4])
    right = [alone(model, prompt, None) for prompt in prompts]

    class All(torch.nn.Module):
        config = model.config

        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, input_ids, attention_mask):
            return model(input_ids, attention_mask)

    assert module._are_greedy(All(), [list(p.ids) for p in prompts], right, 0) == [True] * 3
    assert (
        module._are_greedy(All(), [list(p.ids) for p in prompts], [right[0], right[1][::-1], right[2]], 0)[1] is False
    )


def test_prompts_too_near_the_models_end_are_continued_as_far_as_it_goes(runs):
    model = made("gpt2")  # 64 positions
    prompts = prompts_of([5, 8, 60])
    texts = written(model, prompts)
    assert list(map(len, texts)) == [STEPS, STEPS, 4]
    assert runs == [[5, 8], [60]]
