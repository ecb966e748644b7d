import pytest
import torch

from repdrift.extraction import ExtractionJob, ExtractionOptions, extract, extract_set
from repdrift.models import load_backbone, load_task_model, load_tokenizer, resolve_model
from repdrift.stores import open_set
from repdrift.tasks import build_sample_set, load_rows, task
from repdrift.training import TrainingJob, TrainingOptions, train

INPUTS = {"input_ids": torch.arange(4, 24).reshape(5, 4), "attention_mask": torch.ones((5, 4), dtype=torch.long)}


@pytest.mark.parametrize("kind", ["classification", "extractive_qa"])
def test_language_model_checkpoint_gets_a_head_on_its_own_backbone(kind, tiny_llama, tmp_path):
    """Llama's question answering names its backbone otherwise than the checkpoints of language models do."""
    from transformers import AutoConfig, LlamaForCausalLM

    torch.manual_seed(3)
    LlamaForCausalLM(AutoConfig.from_pretrained(tiny_llama)).save_pretrained(tmp_path)
    source = resolve_model(str(tmp_path))
    plain = extract(load_backbone(source), INPUTS)
    headed = load_task_model(source, kind, num_labels=2 if kind == "classification" else None)
    for name, tensor in extract(headed, INPUTS).items():
        assert torch.equal(tensor, plain[name])


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
@pytest.mark.parametrize("method", ["full_finetune", "lora"])
@pytest.mark.parametrize("name", ["sst2", "squad_v2"])
def test_trained_model_is_extracted_whatever_its_head(model, method, name, request, tiny_data, tmp_path):
    base = resolve_model(str(request.getfixturevalue(model)))
    spec = task(name)
    options = TrainingOptions(epochs=1, batch_size=8, max_length=32, doc_stride=8, learning_rate=0.01)
    rows = [load_rows(spec, split, data_dir=tiny_data) for split in ("train", "validation")]
    run = train(TrainingJob(spec, method, 1, base, options, *rows), tmp_path / "runs")
    tuned = resolve_model(str(run.folder / "final_model"))
    samples = build_sample_set(spec, rows[1].rows, load_tokenizer(base), max_length=32)
    job = ExtractionJob(
        name, method, 1, 0, base, samples, ExtractionOptions(), tuned, run.record.task_kind, run.record.num_labels
    )  # fmt: skip
    extract_set(job, tmp_path / "set")
    before = extract(load_backbone(base), samples)
    after = open_set(tmp_path / "set")
    assert all((before[f"layer_{i}"] - after.layer(i)).abs().max() > 1e-4 for i in range(3))
