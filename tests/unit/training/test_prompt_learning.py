"""Arms that train a learned prompt: heads see the real tokens, as peft does on a text by itself, and what does not fit is refused."""

from typing import Any

import pytest
import torch
from peft import PeftModelForQuestionAnswering, PeftModelForSequenceClassification
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from repdrift.core.errors import DataError, ModelError
from repdrift.models import length_limit, load_task_model, load_tokenizer, resolve_model
from repdrift.tasks import Rows, TaskSpec
from repdrift.training import Arm, TrainingJob, TrainingOptions, prepared, require_room_for_prompt
from repdrift.training.task_kinds.greedy_continuations import Prompt, greedy_continuations
from tests.tiny_models import sentence

KINDS = ("prefix_tuning", "prompt_tuning", "p_tuning")
SPEC = TaskSpec("own", "classification", ("text",), "label", "own", files={})
BATCH = {
    "input_ids": torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]),
}
ALONE = {name: tensor[1:, :3] for name, tensor in BATCH.items()}


def loaded(base, task):
    return load_task_model(base, task, num_labels=2 if task == "classification" else None)


def tuned(base, kind, task="classification") -> Any:
    torch.manual_seed(4)
    model = loaded(resolve_model(str(base)), task)
    return prepared(model, Arm.of_kind(kind, virtual_tokens=5), task).model.eval()


def forward_of(kind) -> Any:
    return kind.forward


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama"])
def test_scores_of_a_text_do_not_depend_on_its_batch_and_are_those_of_peft(name, kind, request):
    model = tuned(request.getfixturevalue(name), kind)
    with torch.no_grad():
        found = model(**BATCH).logits[1]
        torch.testing.assert_close(found, model(**ALONE).logits[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            found, forward_of(PeftModelForSequenceClassification)(model, **ALONE).logits[0], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama"])
def test_answers_count_from_the_first_real_token(name, kind, request):
    model = tuned(request.getfixturevalue(name), kind, "extractive_qa")
    places = {"start_positions": torch.tensor([1, 2]), "end_positions": torch.tensor([4, 2])}
    with torch.no_grad():
        found = model(**BATCH, **places)
        own = forward_of(PeftModelForQuestionAnswering)(model, **BATCH)
    length = BATCH["input_ids"].shape[1]
    torch.testing.assert_close(found.start_logits, own.start_logits[:, -length:], rtol=1e-5, atol=1e-6)
    ends = [(found.start_logits, places["start_positions"]), (found.end_logits, places["end_positions"])]
    expected = sum(torch.nn.functional.cross_entropy(*pair) for pair in ends) / 2
    torch.testing.assert_close(found.loss, expected)


def test_kinds_of_token_reach_a_model_that_answers_questions(tiny_bert):
    model = tuned(tiny_bert, "prompt_tuning", "extractive_qa")
    kinds = {"token_type_ids": torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]])}
    with torch.no_grad():
        assert (model(**BATCH, **kinds).start_logits - model(**BATCH).start_logits).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_prompt_and_the_head_get_gradients(kind, tiny_llama):
    model = tuned(tiny_llama, kind).train()
    model(**BATCH, labels=torch.tensor([0, 1])).loss.backward()
    found = {
        name.split(".")[0] if "prompt" in name else name for name, p in model.named_parameters() if p.grad is not None
    }
    assert found == {"prompt_encoder", "base_model.score.modules_to_save.default.weight"}
    assert all(p.grad.abs().max() > 0 for name, p in model.named_parameters() if "prompt_encoder" in name)


def test_model_without_past_keys_and_values_takes_no_prefix():
    config = DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=64)
    for place in ("meta", "cpu"):
        with torch.device(place):
            model = DistilBertForSequenceClassification(config)
        with pytest.raises(
            ModelError, match=r"arm 'prefix_tuning': prefix tuning does not fit DistilBert.*lora, layers"
        ):
            prepared(model, Arm.of_kind("prefix_tuning"), "classification")
    with torch.device("cpu"):
        model = DistilBertForSequenceClassification(config)
    assert prepared(model, Arm.of_kind("prompt_tuning"), "classification").model(**BATCH).logits.shape == (2, 2)


def checkpointed(model):
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()


def test_gradient_checkpointing_would_drop_a_prefix(tiny_llama):
    model = tuned(tiny_llama, "prefix_tuning").train()
    checkpointed(model.base_model)
    with pytest.raises(ModelError, match="does not go with gradient checkpointing"):
        model(**BATCH)
    prompt = tuned(tiny_llama, "prompt_tuning").train()
    expected = prompt(**BATCH).logits
    checkpointed(prompt.base_model)
    torch.testing.assert_close(prompt(**BATCH).logits, expected)


def job(base, kind, rows, max_length=None):
    return TrainingJob(
        SPEC, Arm.of_kind(kind), 0, base, TrainingOptions(max_length=max_length), Rows(rows, "made"), Rows(rows, "made")
    )


def test_text_that_fits_without_the_prompt_only_is_an_error_before_training(tiny_bert):
    base = resolve_model(str(tiny_bert))
    tokenizer, limit = load_tokenizer(base), length_limit(loaded(base, "classification"))
    long = [{"text": sentence(i, 50), "label": i % 2} for i in range(4)]
    short = [{"text": sentence(i, 9), "label": i % 2} for i in range(4)]
    with pytest.raises(
        DataError, match=r"52 tokens, and behind 20 virtual tokens the model takes 44 .*max_length to 44"
    ):
        require_room_for_prompt(job(base, "prompt_tuning", long), tokenizer, limit, 64)
    require_room_for_prompt(job(base, "prompt_tuning", long, 44), tokenizer, limit, 44)
    require_room_for_prompt(job(base, "prompt_tuning", short), tokenizer, limit, 64)
    require_room_for_prompt(job(base, "lora", long), tokenizer, limit, 64)


@pytest.mark.parametrize("kind", KINDS)
def test_continuations_are_those_of_one_step_at_a_time(kind, tiny_language_model):
    model = tuned(tiny_language_model, kind, "causal_lm")
    texts = [[5, 6, 7], [8, 9, 10, 11, 12]]
    expected = []
    for text in texts:
        ids = list(text)
        for _ in range(4):
            with torch.no_grad():
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        expected.append(ids[len(text) :])
    prompts = [Prompt(text, None) for text in texts]
    assert greedy_continuations(model, prompts, end=None, pad=0, max_new_tokens=4, what="test") == expected
