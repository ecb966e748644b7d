"""One job into one set: resumed after an interruption, under either schedule, with whatever memory there is."""

import json

import pytest
import torch

from repdrift.core.errors import ModelError, UnfinishedSetError
from repdrift.extraction import ExtractionJob, ExtractionOptions, RepresentationExtractor, extract, extract_set
from repdrift.extraction.batching import BatchPlan
from repdrift.extraction.memory_budget import auto_token_budget, is_out_of_memory
from repdrift.models import load_backbone, resolve_model
from repdrift.stores import open_set, verify_set
from repdrift.tasks import SampleSet, token_ids

LENGTHS = (9, 4, 13, 2, 7, 13, 5, 5, 30, 8, 3, 11)


@pytest.fixture(scope="module")
def samples():
    g = torch.Generator().manual_seed(0)
    rows = tuple(token_ids(torch.randint(4, 40, (length,), generator=g).tolist()) for length in LENGTHS)
    return SampleSet("job", tuple(f"s{i}" for i in range(len(rows))), rows, None, 0, "random")


def _job(source, samples, **options):
    return ExtractionJob("job", "base", None, 0, resolve_model(str(source)), samples, ExtractionOptions(**options))


def _layers(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name.startswith("layer_")}


@pytest.mark.parametrize("schedule", ["sample", "layer"])
@pytest.mark.parametrize("pooling", ["mean", "tokens"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_interrupted_set_goes_on_and_ends_with_the_same_bytes(
    tiny_bert, samples, tmp_path, monkeypatch, schedule, pooling, stop_after
):
    from repdrift.stores import RepresentationSetWriter

    job = _job(tiny_bert, samples, token_budget=40, schedule=schedule, pooling=pooling)
    whole, _ = extract_set(job, tmp_path / "whole")
    calls = []
    write_batch = RepresentationSetWriter.write_batch

    def failing(self, number, rows, tensors):
        calls.append(number)
        if len(calls) == stop_after + 1:
            raise KeyboardInterrupt
        write_batch(self, number, rows, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(RepresentationSetWriter, "write_batch", failing)
        with pytest.raises(KeyboardInterrupt):
            extract_set(job, tmp_path / "cut")
    with pytest.raises(UnfinishedSetError):
        open_set(tmp_path / "cut")
    assert any("unfinished" in str(fault) for fault in verify_set(tmp_path / "cut"))
    # Another budget now: the set goes on with the batches that it was begun with.
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


def test_windows_keep_token_rows_nearly_in_the_order_of_the_file(samples):
    plan = BatchPlan(samples, token_budget=20, window_tokens=30)
    assert sorted(row for group in plan.sample_indices for row in group) == list(range(len(samples)))
    seen: set[int] = set()
    prefixes = []
    for group in plan.sample_indices:
        seen |= set(group)
        prefixes.append(len(seen) == max(seen) + 1 and len(seen))
    # Windows of at least 30 tokens end after samples 4, 8 and 11: there all rows before are complete.
    assert {5, 9, 12} <= set(prefixes)
    assert all(sum(LENGTHS[row] for row in group) <= 20 or len(group) == 1 for group in plan.sample_indices)
    assert BatchPlan(samples, **plan.settings).sample_indices == plan.sample_indices


class _OutOfMemory:
    """A backbone that holds at most so many tokens."""

    def __init__(self, backbone, most):
        self.forward, self.most, self.seen = backbone.forward, most, []

    def __call__(self, *args, **kwargs):
        tokens = kwargs["input_ids"].numel()
        self.seen.append(tokens)
        if tokens > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.forward(*args, **kwargs)


def test_batches_are_halved_when_memory_runs_out_and_the_numbers_stay(tiny_bert, samples, capsys):
    model = load_backbone(resolve_model(str(tiny_bert)))
    plain = extract(model, samples, token_budget=200)
    extractor = RepresentationExtractor(model, token_budget=200)
    limited = _OutOfMemory(extractor.backbone, 45)
    extractor.backbone.forward = limited
    try:
        found = extractor.extract(samples)
    finally:
        del extractor.backbone.forward
    assert sum(tokens > 45 for tokens in limited.seen) <= 3  # it learns, and does not fail at every batch
    assert "out of memory" in capsys.readouterr().err
    for layer, rows in found.items():
        assert torch.allclose(rows, plain[f"layer_{layer}"], atol=1e-5)


def test_one_sample_that_memory_does_not_hold_is_said_with_the_way_out(tiny_bert, samples):
    extractor = RepresentationExtractor(load_backbone(resolve_model(str(tiny_bert))), token_budget=40)
    extractor.backbone.forward = _OutOfMemory(extractor.backbone, 20)
    with pytest.raises(ModelError, match=r"one sample of 30 tokens.*--max-length.*--schedule layer"):
        extractor.extract(samples)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 40 bytes"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_budget_follows_the_memory_cap_and_the_models_width(tiny_bert):
    config = load_backbone(resolve_model(str(tiny_bert))).config
    config.hidden_size, config.intermediate_size = 2048, 8192
    small = auto_token_budget(config, itemsize=4, cap_bytes=64 << 20)
    large = auto_token_budget(config, itemsize=4, cap_bytes=512 << 20)
    assert 256 <= small < large
    assert small * 4 * (6 * 2048 + 3 * 8192) <= 64 << 20
    assert auto_token_budget(config, itemsize=4, cap_bytes=64 << 20, captured_bytes_per_token=200_000) < small
    assert auto_token_budget(object(), itemsize=4) == 4096


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
    """No batch is left to run, so no block passes by: its matrices are read from the checkpoint."""
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


def test_streaming_forward_says_that_memory_does_not_suffice(tiny_bert, samples, monkeypatch):
    extractor = RepresentationExtractor(load_backbone(resolve_model(str(tiny_bert))), token_budget=60)

    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(extractor, "_forward_part", fail)
    with pytest.raises(ModelError, match=r"batch of 60 tokens .*CUDA out of memory.*--memory-cap"):
        extractor.forward(BatchPlan(samples, token_budget=60)[0], lambda *_: None)
