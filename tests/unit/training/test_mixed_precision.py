"""A run that trains in mixed precision is scored with the weights that it saves."""

import accelerate
import pytest
import torch

from repdrift.models import load_task_model, resolve_model
from repdrift.models.mixed_precision import without_mixed_precision
from repdrift.training.task_kinds import classification
from repdrift.training.training_run import train
from tests.unit.training.test_training_run import _job

IDS = torch.arange(8, 20).repeat(2, 1)


@pytest.fixture
def prepared_model(tiny_bert):
    """A model as a trainer in bfloat16 puts it in order, and its logits in float32."""
    model = load_task_model(resolve_model(str(tiny_bert)), "classification", num_labels=2).eval()
    with torch.inference_mode():
        exact = model(IDS).logits
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    yield accelerate.Accelerator(mixed_precision="bf16", cpu=True).prepare_model(model, evaluation_mode=True), exact
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


def test_the_model_runs_in_the_format_of_its_weights_inside_the_block_alone(prepared_model):
    model, exact = prepared_model
    with torch.inference_mode():
        before = model(IDS).logits
        with without_mixed_precision(model):
            inside = model(IDS).logits
        after = model(IDS).logits
    assert not torch.equal(before, exact)  # or this test shows nothing
    assert torch.equal(inside, exact)
    assert torch.equal(before, after)


def test_scores_along_the_way_are_those_of_the_saved_weights(tiny_bert, tiny_data, tmp_path, monkeypatch):
    seen, predict = [], classification.predict

    def kept(model, features, collator, outputs, **options):
        seen.append((features, collator, predict(model, features, collator, outputs, **options)))
        return seen[-1][-1]

    monkeypatch.setattr(classification, "predict", kept)
    run = train(_job(tiny_bert, tiny_data, precision="bfloat16"), tmp_path)
    features, collator, along = seen[-1]
    saved = load_task_model(resolve_model(str(run.folder / "final_model")), "classification", num_labels=2)
    alone = predict(saved, features, collator, ("logits",), per_token=False)
    assert torch.equal(torch.stack([logits for (logits,) in along]), torch.stack([logits for (logits,) in alone]))
