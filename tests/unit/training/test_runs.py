import json
from datetime import UTC, datetime

import pytest
import torch
from safetensors.torch import load_file

from repdrift.core.errors import ModelError
from repdrift.models import load_backbone, resolve_model
from repdrift.tasks import load_rows, task
from repdrift.training import LoraOptions, TrainingJob, TrainingOptions, finished_runs, train
from repdrift.training.folders import new_run_folder


def _job(model, data, name="sst2", method="full_finetune", seed=1, **options):
    settings = {"epochs": 1, "batch_size": 8, "max_length": 32, "doc_stride": 8, "learning_rate": 0.01, **options}
    spec = task(name)
    return TrainingJob(
        spec, method, seed, resolve_model(str(model)), TrainingOptions(**settings),
        load_rows(spec, "train", data_dir=data), load_rows(spec, "validation", data_dir=data),
    )  # fmt: skip


def _weights(folder):
    return load_file(next((folder / "final_model").glob("*.safetensors")))


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
@pytest.mark.parametrize("name", ["sst2", "squad_v2"])
@pytest.mark.parametrize("method", ["full_finetune", "lora"])
def test_run_is_recorded_and_its_model_loads(model, name, method, request, tiny_data, tmp_path):
    job = _job(request.getfixturevalue(model), tiny_data, name, method)
    folder, record, new = train(job, tmp_path)
    assert new
    assert folder.name.startswith(f"{method}_")
    stored = json.loads((folder / "run.json").read_text())
    assert (stored["task"], stored["method"], stored["seed"], stored["status"]) == (name, method, 1, "finished")
    assert {"accuracy", "f1"} <= stored["metrics"].keys() or {"exact_match", "f1"} <= stored["metrics"].keys()
    assert record.weights_digest == resolve_model(str(folder / "final_model")).weights_digest()
    files = {path.name for path in (folder / "final_model").iterdir()}
    assert ("adapter_model.safetensors" if method == "lora" else "model.safetensors") in files
    assert "tokenizer.json" in files


def test_same_seed_gives_the_same_weights_and_another_seed_others(tiny_bert, tiny_data, tmp_path):
    first, _, _ = train(_job(tiny_bert, tiny_data), tmp_path / "a")
    again, _, _ = train(_job(tiny_bert, tiny_data), tmp_path / "b")
    other, _, _ = train(_job(tiny_bert, tiny_data, seed=2), tmp_path / "a")
    a, b, c = (_weights(folder) for folder in (first, again, other))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_finished_run_is_reused_and_another_setting_is_not(tiny_bert, tiny_data, tmp_path):
    folder, _, _ = train(_job(tiny_bert, tiny_data), tmp_path)
    assert train(_job(tiny_bert, tiny_data), tmp_path)[::2] == (folder, False)
    assert train(_job(tiny_bert, tiny_data, learning_rate=0.02), tmp_path)[2]
    assert train(_job(tiny_bert, tiny_data, max_train_samples=10), tmp_path)[2]


def test_unfinished_run_is_never_picked_up(tiny_bert, tiny_data, tmp_path):
    folder, _, _ = train(_job(tiny_bert, tiny_data), tmp_path)
    (folder / "run.json").unlink()
    assert list(finished_runs(tmp_path)) == []
    assert train(_job(tiny_bert, tiny_data), tmp_path)[2]


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    names = [new_run_folder(tmp_path, "lora", now).name for _ in range(3)]
    assert names == ["lora_20260102_030405", "lora_20260102_030405_2", "lora_20260102_030405_3"]


def test_checkpoints_are_saved_and_load(tiny_bert, tiny_data, tmp_path):
    folder, record, _ = train(_job(tiny_bert, tiny_data, checkpoint_every=1), tmp_path)
    assert record.checkpoints == [1, 2, 3]
    first, last = (load_backbone(resolve_model(str(folder / "checkpoints" / f"step_{n:06d}"))) for n in (1, 3))
    final = load_backbone(resolve_model(str(folder / "final_model")))
    key = "encoder.layer.0.output.dense.weight"
    assert torch.equal(last.state_dict()[key], final.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], final.state_dict()[key])


def test_lora_target_that_is_not_there_names_what_is(tiny_bert, tiny_data, tmp_path):
    job = _job(tiny_bert, tiny_data, method="lora", lora=LoraOptions(target_modules=("q_proj",)))
    with pytest.raises(ModelError, match=r"(?s)no module to adapt in BertForSequenceClassification.*query"):
        train(job, tmp_path)


def test_precision_auto_is_resolved_and_recorded(monkeypatch):
    from repdrift.training.options import TrainingOptions, TrainingOverrides, resolve_options

    for quick in ("float32", "bfloat16"):
        monkeypatch.setattr("repdrift.training.options.quick_precision", lambda quick=quick: quick)
        options = resolve_options(TrainingOverrides(precision="auto"))
        assert options.precision == quick
        assert options.for_key("lora")["precision"] == quick
    assert TrainingOptions(precision="float32").precision == "float32"
