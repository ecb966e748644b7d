import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from repdrift.core.errors import ModelError
from repdrift.extraction import RepresentationExtractor
from repdrift.models import (
    load_adapted,
    load_config,
    load_task_model,
    load_tokenizer,
    resolve_model,
    save_model,
    task_skeleton,
)
from repdrift.training import Arm
from repdrift.training.arms import counted_tuning, prepared
from tests.tiny_models import save_language_model

IDS = {"input_ids": torch.arange(5, 25).reshape(4, 5)}


def test_language_model_has_the_head_of_its_files(tiny_language_model):
    loaded = load_task_model(resolve_model(str(tiny_language_model)), "causal_lm")
    plain = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    torch.testing.assert_close(loaded(**IDS).logits, plain(**IDS).logits)


def test_model_without_such_a_head_is_refused_before_and_at_loading(tiny_llama, tiny_bert):
    with pytest.raises(ModelError, match=r"lm_head.weight.*give the folder that was saved with it"):
        load_task_model(resolve_model(str(tiny_llama)), "causal_lm")
    bert = resolve_model(str(tiny_bert))
    for refused in (lambda: load_task_model(bert, "causal_lm"), lambda: task_skeleton(load_config(bert), "causal_lm")):
        with pytest.raises(
            ModelError, match=r"'bert'\) cannot be trained for causal_lm: it should read a text from left to right"
        ):
            refused()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kind", ["full_finetune", "lora"])
def test_trained_language_model_is_saved_once_and_loads_again(tied, kind, tmp_path):
    base = resolve_model(str(save_language_model(tmp_path / "base", tied=tied)))
    tuned = prepared(load_task_model(base, "causal_lm"), Arm.of_kind(kind), "causal_lm")
    trained = {name for name, p in tuned.model.named_parameters() if p.requires_grad}
    assert any("lm_head" in name for name in trained) == (kind == "full_finetune" and not tied)
    assert counted_tuning(tuned.model, Arm.of_kind(kind), "causal_lm").head_parameters == 0
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in tuned.model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape) * parameter.requires_grad)
    tuned.save_to(load_tokenizer(base), tmp_path / "tuned")
    saved = resolve_model(str(tmp_path / "tuned"))
    with safe_open(next((tmp_path / "tuned").glob("*.safetensors")), "pt") as tensors:
        heads = [name for name in tensors.keys() if "lm_head" in name]  # noqa: SIM118
    assert len(heads) == (kind == "full_finetune" and not tied)
    again = load_adapted(base, saved, "causal_lm") if saved.is_adapter else load_task_model(saved, "causal_lm").eval()
    torch.testing.assert_close(again(**IDS).logits, tuned.model.eval()(**IDS).logits)
    for layer, rows in RepresentationExtractor(again).extract(IDS).items():
        torch.testing.assert_close(rows, RepresentationExtractor(tuned.model).extract(IDS)[layer])


def test_skeleton_of_a_language_model_takes_every_arm_that_fits(tiny_language_model):
    config = load_config(resolve_model(str(tiny_language_model)))
    for kind in ("full_finetune", "lora", "dora", "ia3", "layer_norm"):
        skeleton = task_skeleton(config, "causal_lm")
        assert skeleton is not None
        tuned = prepared(skeleton, Arm.of_kind(kind), "causal_lm").model
        assert next(tuned.parameters()).is_meta


def test_saved_tokenizer_keeps_its_chat_template(tiny_language_model, tmp_path):
    base = resolve_model(str(tiny_language_model))
    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = "{{ messages[0].content }}"
    save_model(load_task_model(base, "causal_lm"), tokenizer, tmp_path / "saved")
    assert load_tokenizer(resolve_model(str(tmp_path / "saved"))).chat_template == tokenizer.chat_template
