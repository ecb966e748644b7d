"""A model is trained, saved and extracted, whatever its head and method."""

import pytest

from repdrift.extraction import ExtractionJob, ExtractionOptions, extract, extract_set
from repdrift.models import load_backbone, load_tokenizer, resolve_model
from repdrift.stores import open_set
from repdrift.tasks import build_sample_set, load_rows, task
from repdrift.training import Arm, TrainingJob, TrainingOptions, train


@pytest.mark.parametrize(
    ("model", "method", "name"),
    [
        ("tiny_bert", "full_finetune", "sst2"),
        ("tiny_bert", "lora", "squad_v2"),
        ("tiny_llama", "full_finetune", "squad_v2"),
        ("tiny_llama", "lora", "sst2"),
        ("tiny_llama", "lora", "squad_v2"),  # this head names the backbone in its own way
    ],
)
def test_trained_model_is_extracted_whatever_its_head(model, method, name, request, tiny_data, tmp_path):
    base = resolve_model(str(request.getfixturevalue(model)))
    spec = task(name)
    options = TrainingOptions(epochs=1, batch_size=8, max_length=32, doc_stride=8, learning_rate=0.01)
    rows = [load_rows(spec, split, data_dir=tiny_data) for split in ("train", "validation")]
    run = train(TrainingJob(spec, Arm.of_kind(method), 1, base, options, *rows), tmp_path / "runs")
    tuned = resolve_model(str(run.folder / "final_model"))
    samples = build_sample_set(spec, rows[1].rows, load_tokenizer(base), max_length=32)
    job = ExtractionJob(
        name, method, 1, 0, base, samples, ExtractionOptions(), tuned, run.record.task_kind, run.record.num_labels
    )  # fmt: skip
    extract_set(job, tmp_path / "set")
    before = extract(load_backbone(base), samples)
    after = open_set(tmp_path / "set")
    assert all((before[f"layer_{i}"] - after.layer(i)).abs().max() > 1e-4 for i in range(3))
