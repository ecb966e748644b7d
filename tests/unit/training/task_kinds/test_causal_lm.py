import json
import math

import numpy as np
import pytest
import torch

from repdrift.core.errors import DataError, NonFiniteError
from repdrift.extraction import ExtractionOptions
from repdrift.extraction.job import ExtractionJob
from repdrift.extraction.set_extraction import extract_set
from repdrift.models import load_task_model, load_tokenizer, resolve_model
from repdrift.tasks import Rows, TaskSpec, build_sample_set
from repdrift.tasks.continuation import Continuation
from repdrift.training import Arm, TrainingJob, TrainingOptions, train
from repdrift.training.features import PaddingCollator
from repdrift.training.scores import compared_with_constant
from repdrift.training.task_kinds.causal_lm import CausalProcessor, completion_losses
from repdrift.training.task_kinds.greedy_continuations import Prompt, greedy_continuations
from tests.tiny_models import sentence


def spec_of(**settings):
    return TaskSpec("own", "causal_lm", ("prompt",), "completion", "own", continuation=Continuation(**settings))


def rows_of(count, start=0):
    return [
        {"prompt": sentence(start + i, 2 + i % 5), "completion": sentence(start + i + 7, 1 + i % 4)}
        for i in range(count)
    ]


CHAT = TaskSpec("talk", "causal_lm", ("messages",), None, "talk", continuation=Continuation())


def chat_rows(count):
    return [
        {
            "messages": [
                {"role": role, "content": sentence(4 * i + turn, 1 + (i + turn) % 4)}
                for turn, role in enumerate(["user", "assistant", "user", "assistant"])
            ]
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def base(tiny_language_model):
    return resolve_model(str(tiny_language_model))


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


@pytest.fixture(scope="module")
def model(base):
    return load_task_model(base, "causal_lm").eval()


def processor(spec, tokenizer, max_length=40):
    return CausalProcessor(spec, tokenizer, PaddingCollator.of(tokenizer), max_length)


def loss_by_hand(model, ids, positions):
    """Sum in float64 of -log p(token | the tokens before it) over these positions, one forward pass for each."""
    total = 0.0
    with torch.inference_mode():
        for at in positions:
            logits = model(torch.tensor([list(ids[:at])])).logits[0, -1].double()
            total += float(torch.logsumexp(logits, 0) - logits[ids[at]])
    return total


@pytest.mark.parametrize(
    ("loss_on", "kind"), [("completion", "prompt"), ("all", "prompt"), ("completion", "chat"), ("last_turn", "chat")]
)
def test_labels_are_on_the_tokens_that_are_learnt(model, tokenizer, loss_on, kind):
    spec = (
        spec_of(loss_on=loss_on)
        if kind == "prompt"
        else TaskSpec(**{**vars(CHAT), "continuation": Continuation(loss_on=loss_on)})
    )
    rows = rows_of(6) if kind == "prompt" else chat_rows(6)
    features = processor(spec, tokenizer).features(rows)
    masks = build_sample_set(spec, rows, tokenizer, max_length=40).completion_masks
    assert masks is not None
    for feature, mask in zip(features, masks, strict=True):
        learnt = [label != -100 for label in feature["labels"]]
        assert all(label in (-100, token) for label, token in zip(feature["labels"], feature["input_ids"], strict=True))
        if loss_on == "all":
            assert all(learnt)
        elif loss_on == "completion":
            assert learnt == [bool(each) for each in mask]
        else:
            first = len(mask) - list(mask)[::-1].index(0)
            assert learnt == [at >= first for at in range(len(mask))]


@pytest.mark.parametrize("kind", ["prompt", "chat"])
def test_loss_is_the_cross_entropy_by_hand_and_that_of_transformers(model, tokenizer, kind):
    spec, rows = (spec_of(), rows_of(9)) if kind == "prompt" else (CHAT, chat_rows(9))
    made = processor(spec, tokenizer)
    features = made.features(rows)
    found = completion_losses(model, features, PaddingCollator.of(tokenizer))
    for feature, total, count in zip(features, found.sums, found.tokens, strict=True):
        at = [i for i, label in enumerate(feature["labels"]) if label != -100 and i > 0]
        assert count == len(at)
        assert total == pytest.approx(loss_by_hand(model, feature["input_ids"], at), rel=1e-5)
    batch = PaddingCollator.of(tokenizer)(features)
    with torch.inference_mode():
        assert found.per_token == pytest.approx(float(model(**batch).loss), rel=1e-5)
    assert found.items.mean() == pytest.approx(found.per_token)


def test_padding_takes_no_part_whatever_token_it_is(model, tokenizer):
    features = processor(spec_of(), tokenizer).features(rows_of(9))
    found = [completion_losses(model, features, PaddingCollator(pad)) for pad in (0, tokenizer.eos_token_id, 9)]
    for other in found[1:]:
        np.testing.assert_allclose(other.sums, found[0].sums, rtol=1e-6)
    one_by_one = [completion_losses(model, [feature], PaddingCollator(0)).sums[0] for feature in features]
    np.testing.assert_allclose(one_by_one, found[0].sums, rtol=1e-5)


def test_tokenizer_without_padding_and_end_token_is_padded_with_another_id():
    class Bare:
        pad_token_id = None
        eos_token_id = None

    batch = PaddingCollator.of(Bare())([{"input_ids": [5], "labels": [5]}, {"input_ids": [6, 7], "labels": [-100, 7]}])
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert batch["labels"].tolist() == [[5, -100], [-100, 7]]


def test_model_is_held_against_the_base_models_loss_on_the_same_rows(base, model, tokenizer):
    rows = rows_of(12)
    made = processor(spec_of(), tokenizer)
    with pytest.raises(DataError, match="was not scored on these rows before training"):
        made.evaluate(model, rows)
    made.before_training(model, rows)
    same = made.evaluate(model, rows)
    assert same.metrics["loss"] == same.metrics["base_loss"]
    assert not compared_with_constant(same).learnt
    tuned = load_task_model(base, "causal_lm")
    optimiser = torch.optim.Adam(tuned.parameters(), lr=0.01)
    for _ in range(20):
        loss = tuned(**PaddingCollator.of(tokenizer)(made.features(rows))).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    scored = made.evaluate(tuned, rows)
    found = compared_with_constant(scored)
    assert found.learnt
    assert found.score == pytest.approx(scored.metrics["loss"])
    assert found.constant_score == pytest.approx(scored.metrics["base_loss"])
    part = made.evaluate(tuned, rows[3:9])  # any of the rows that the base model was scored on
    assert part.metrics["loss"] != scored.metrics["loss"]


def test_loss_that_is_no_number_is_an_error(base, tokenizer):
    broken = load_task_model(base, "causal_lm")
    torch.nn.init.constant_(broken.lm_head.weight, math.nan)
    made = processor(spec_of(), tokenizer)
    with pytest.raises(NonFiniteError, match="for evaluation row 1 of 4"):
        made.before_training(broken, rows_of(4))


def test_continuations_are_those_of_one_step_at_a_time(model, tokenizer):
    ids = [list(each.input_ids) for each in map(processor(spec_of(), tokenizer)._encoder.encode, rows_of(10))]
    prompts = [Prompt(row[: 2 + i % 3], None) for i, row in enumerate(ids)]
    free = greedy_continuations(model, prompts, end=None, pad=0, max_new_tokens=6, what="test")
    stop = free[0][2]
    found = greedy_continuations(model, prompts, end=stop, pad=0, max_new_tokens=6, what="test")
    for prompt, written in zip(prompts, found, strict=True):
        text = list(prompt.ids)
        with torch.inference_mode():
            while (
                len(text) < len(prompt.ids) + 6
                and (token := int(model(torch.tensor([text])).logits[0, -1].argmax())) != stop
            ):
                text.append(token)
        assert written == text[len(prompt.ids) :]
    assert len(found[0]) < 6


def test_models_own_settings_of_generation_are_not_used(model):
    prompts = [Prompt([5, 6, 7], None)]
    plain = greedy_continuations(model, prompts, end=None, pad=0, max_new_tokens=20, what="test")
    own = model.generation_config
    own.repetition_penalty, own.suppress_tokens = 50.0, list(range(30))
    try:
        assert greedy_continuations(model, prompts, end=None, pad=0, max_new_tokens=20, what="test") == plain
        assert model.generation_config is own
    finally:
        own.repetition_penalty, own.suppress_tokens = None, None


def test_continuation_ends_where_the_models_positions_end(model):
    assert (
        len(greedy_continuations(model, [Prompt([5] * 60, None)], end=None, pad=0, max_new_tokens=20, what="test")[0])
        <= 20
    )


@pytest.mark.parametrize("method", ["full_finetune", "lora"])
@pytest.mark.parametrize("kind", ["prompt", "chat"])
def test_run_is_trained_scored_saved_and_extracted(base, method, kind, tmp_path):
    spec, made = (spec_of(scorer="contains", max_new_tokens=4), rows_of) if kind == "prompt" else (CHAT, chat_rows)
    options = TrainingOptions(epochs=3, batch_size=4, learning_rate=0.02, max_length=40)
    rows = Rows(made(24), "made")
    run = train(TrainingJob(spec, Arm.of_kind(method), 1, base, options, rows, rows), tmp_path)
    stored = json.loads((run.folder / "run.json").read_text())
    assert stored["task_kind"] == "causal_lm"
    assert stored["hyperparameters"]["causal_lm"] == {}
    assert stored["metrics"]["loss"] < stored["metrics"]["base_loss"]
    assert ("contains" in stored["metrics"]) == (kind == "prompt")
    learnt = stored["learnt"]
    assert learnt["low"] > 0
    if kind == "prompt":  # a lower loss than the base model's; and it writes no answer that is right
        assert learnt["written"]["score"] == stored["metrics"]["contains"] == 0 < stored["metrics"]["constant_contains"]
        assert learnt["written"]["constant_score"] == stored["metrics"]["constant_contains"]
        assert "and what it writes: contains 0.000, and 0.0" in learnt["sentence"]
    assert learnt["learnt"] is (kind != "prompt")
    assert stored["tuning"]["head_parameters"] == 0
    tuned = resolve_model(str(run.folder / "final_model"))
    samples = build_sample_set(spec, rows.rows, load_tokenizer(base), max_length=40)
    job = ExtractionJob(
        "own",
        method,
        1,
        0,
        base,
        samples,
        ExtractionOptions(pooling="mean", pool_over="completion"),
        tuned,
        "causal_lm",
    )
    metadata, _ = extract_set(job, tmp_path / "set")
    assert metadata.shape == [24, 16]
    assert metadata.weight_changes


def test_cut_completions_are_counted_in_the_record_and_all_cut_away_is_an_error(base, tmp_path):
    long = [{"prompt": sentence(i, 12), "completion": "cat"} for i in range(3)]
    half = [{"prompt": sentence(i, 6), "completion": sentence(i, 5)} for i in range(2)]
    options = TrainingOptions(epochs=1, batch_size=4, max_length=10)
    rows = Rows([*rows_of(8), *long, *half], "made")
    run = train(TrainingJob(spec_of(), Arm.of_kind("lora"), 1, base, options, rows, rows), tmp_path)
    notes = " ".join(run.record.data_notes)
    assert (run.record.n_train, run.record.n_validation) == (10, 10)
    assert "Training rows: 3 of 13 rows have a prompt of which the limit of 10 tokens leaves no room" in notes
    assert "Training rows: 2 rows of 10 with a completion that the limit of 10 tokens cuts off before its end" in notes
    with pytest.raises(DataError, match=r"task 'own': 3 of 3 rows have a prompt .* Give a larger max_length"):
        train(TrainingJob(spec_of(), Arm.of_kind("lora"), 1, base, options, Rows(long, "made"), rows), tmp_path)


def test_settings_of_a_task_are_part_of_a_runs_key(base):
    def key(**settings):
        rows = Rows(rows_of(8), "made")
        job = TrainingJob(spec_of(**settings), Arm.of_kind("lora"), 1, base, TrainingOptions(), rows, rows)
        return job.key(), json.dumps(job.hyperparameters())

    plain = key()
    assert (
        len(
            {
                key(**settings)[0]
                for settings in ({}, {"loss_on": "all"}, {"template": "{prompt}\n"}, {"scorer": "numeric"})
            }
        )
        == 4
    )
    assert key(scorer="numeric")[1] == plain[1]  # it changes no weight
    assert key(max_new_tokens=3) == plain  # nothing is generated
    assert key(template="{prompt}\n")[1] != plain[1]
