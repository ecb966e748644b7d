"""A job becomes one set under either schedule, also after an interruption."""

import json
from dataclasses import replace

import pytest
import torch

from repdrift.core.errors import UnfinishedSetError
from repdrift.core.progress import Bar
from repdrift.extraction import ExtractionJob, ExtractionOptions, extract, extract_set
from repdrift.models import load_backbone, resolve_model
from repdrift.stores import open_set, verify_set


def _job(source, samples, **options):
    return ExtractionJob("job", "base", None, 0, resolve_model(str(source)), samples, ExtractionOptions(**options))


def _layers(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name.startswith("layer_")}


@pytest.mark.parametrize(
    ("schedule", "pooling", "batches"),
    [("sample", "mean", 1), ("sample", "tokens", 3), ("layer", "tokens", 1), ("layer", "mean", 3)],
)
def test_interrupted_set_is_continued_and_ends_with_the_same_bytes(
    tiny_bert, samples, tmp_path, interrupted_after, schedule, pooling, batches
):
    job = _job(tiny_bert, samples, token_budget=40, schedule=schedule, pooling=pooling)
    whole, _ = extract_set(job, tmp_path / "whole")
    with interrupted_after(batches):
        extract_set(job, tmp_path / "cut")
    with pytest.raises(UnfinishedSetError):
        open_set(tmp_path / "cut")
    assert any("unfinished" in str(fault) for fault in verify_set(tmp_path / "cut"))
    # Even with another budget, the set keeps the batches that it was begun with.
    other = _job(tiny_bert, samples, token_budget=15, schedule=schedule, pooling=pooling)
    again, new = extract_set(other, tmp_path / "cut")
    assert new
    assert _layers(tmp_path / "cut") == _layers(tmp_path / "whole")
    assert again.files == whole.files
    assert again.extraction["token_budget"] == 40
    assert verify_set(tmp_path / "cut") == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_schedules_give_what_extraction_gives(tiny_llama, samples, tmp_path, dtype):
    found = extract(load_backbone(resolve_model(str(tiny_llama))), samples, pooling="last", dtype=dtype)
    for schedule in ("sample", "layer"):
        metadata, _ = extract_set(
            _job(tiny_llama, samples, pooling="last", schedule=schedule, dtype=dtype), tmp_path / schedule
        )
        assert metadata.extraction["schedule"] == schedule
        stored = open_set(tmp_path / schedule)
        for layer in stored.layers:
            assert torch.allclose(stored.layer(layer).float(), found[f"layer_{layer}"].float(), atol=2e-2 if dtype == "bfloat16" else 1e-5)  # fmt: skip


def test_tokens_come_in_the_order_of_the_samples_under_both_schedules(tiny_bert, samples, tmp_path):
    found = extract(load_backbone(resolve_model(str(tiny_bert))), samples, pooling="tokens", token_budget=10_000)
    for schedule in ("sample", "layer"):
        extract_set(_job(tiny_bert, samples, pooling="tokens", schedule=schedule, token_budget=30), tmp_path / schedule)
        stored = open_set(tmp_path / schedule)
        for layer in stored.layers:
            assert torch.allclose(stored.layer(layer), found[f"layer_{layer}"], atol=1e-5)


def test_model_larger_than_memory_is_run_block_by_block(tiny_bert, samples, tmp_path, monkeypatch):
    monkeypatch.setattr("repdrift.extraction.schedules.available_memory_bytes", lambda: 1000)
    metadata, _ = extract_set(_job(tiny_bert, samples), tmp_path / "set")
    assert metadata.extraction["schedule"] == "layer"
    monkeypatch.setattr("repdrift.extraction.schedules.available_memory_bytes", lambda: None)
    metadata, _ = extract_set(_job(tiny_bert, samples), tmp_path / "other")
    assert metadata.extraction["schedule"] == "sample"


def test_weights_of_a_fine_tune_are_in_the_metadata(tiny_bert, tuned_bert, bert_adapter, samples, tmp_path):
    base = resolve_model(str(tiny_bert))
    full = resolve_model(str(tuned_bert))
    adapter = resolve_model(str(bert_adapter))
    options = ExtractionOptions()
    for schedule in ("sample", "layer"):
        for name, source in (("full_finetune", full), ("lora", adapter)):
            job = ExtractionJob(
                "job",
                name,
                1,
                0,
                base,
                samples,
                options.model_copy(update={"schedule": schedule}),
                tuned=source,
                num_labels=2,
            )
            metadata, _ = extract_set(job, tmp_path / f"{schedule}_{name}")
            if name == "lora":
                assert metadata.adapter is not None
                assert (tmp_path / f"{schedule}_{name}/adapter_weights/lora_A_layer_0.pt").is_file()
            if (schedule, name) != ("layer", "lora"):
                assert {c.layer for c in metadata.weight_changes} >= {0, 1, 2}
                assert max(c.relative_change or 0 for c in metadata.weight_changes) > 0.01
    one = json.loads((tmp_path / "sample_lora/metadata.json").read_text())["weight_changes"][0]
    assert one["rank"] == 2
    assert 0 < one["effective_rank"] <= 2
    assert 0 < one["rank_utilisation"] <= 1
    same = {
        layer: torch.allclose(open_set(tmp_path / "sample_lora").layer(layer), open_set(tmp_path / "layer_lora").layer(layer), atol=1e-5)
        for layer in range(3)
    }  # fmt: skip
    assert all(same.values())


@pytest.mark.parametrize("schedule", ["sample", "layer"])
def test_adapter_set_cut_off_after_its_last_batch_is_finished(
    tiny_bert, bert_adapter, samples, tmp_path, monkeypatch, schedule
):
    """No batch is left to run, so no block is loaded for one: the matrices are read from the checkpoint."""
    from repdrift.stores import RepresentationSetWriter

    base = resolve_model(str(tiny_bert))
    adapter = resolve_model(str(bert_adapter))
    options = ExtractionOptions(schedule=schedule)
    job = ExtractionJob("job", "lora", 1, 0, base, samples, options, tuned=adapter, num_labels=2)
    whole, _ = extract_set(job, tmp_path / "whole")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RepresentationSetWriter, "write_adapter", stop)
        with pytest.raises(KeyboardInterrupt):
            extract_set(job, tmp_path / "cut")
    again, new = extract_set(job, tmp_path / "cut")
    assert new
    assert again.files == whole.files
    assert again.adapter == whole.adapter


def test_empty_list_of_layers_is_refused(tiny_bert, samples):
    with pytest.raises(ValueError, match="at least 1 item"):
        _job(tiny_bert, samples, layers=())


def test_progress_reaches_its_end_where_some_layers_are_chosen(tiny_bert, samples, tmp_path, monkeypatch):
    bars = []

    class Watched(Bar):
        def __init__(self, what, total):
            super().__init__(what, total)
            bars.append([total, 0])

        def advance(self, steps=1):
            bars[-1][1] += steps

    monkeypatch.setattr("repdrift.extraction.layer_major.Bar", Watched)
    extract_set(_job(tiny_bert, samples, layers=(1,), schedule="layer"), tmp_path)
    assert len(bars) == 1
    assert bars[0][0] == bars[0][1] > 0


def test_finished_set_takes_the_scores_of_the_run_that_it_is_reused_for(tiny_bert, samples, tmp_path):
    job = _job(tiny_bert, samples)
    extract_set(replace(job, metrics={"accuracy": 0.9}), tmp_path / "set")
    layers = _layers(tmp_path / "set")
    again, new = extract_set(replace(job, metrics={"accuracy": 0.6}), tmp_path / "set")  # scored on other rows
    assert not new
    assert again.run_metrics == open_set(tmp_path / "set").metadata.run_metrics == {"accuracy": 0.6}
    assert _layers(tmp_path / "set") == layers
    assert verify_set(tmp_path / "set") == []
