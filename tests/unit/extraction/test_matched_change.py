"""The size-matched control of a run: which weights move, how far, and that its set is made once."""

from dataclasses import replace

import pytest
import torch

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import changes_digest
from repdrift.extraction import ExtractionJob, ExtractionOptions, MatchedChange, extract, extract_set
from repdrift.models import load_backbone, resolve_model
from repdrift.similarity import measure
from repdrift.stores import open_set, verify_set
from repdrift.tasks import SampleSet, token_ids

OPTIONS = ExtractionOptions(token_budget=60)


@pytest.fixture(scope="module")
def samples():
    g = torch.Generator().manual_seed(0)
    rows = tuple(token_ids(torch.randint(4, 40, (3 + i % 9,), generator=g).tolist()) for i in range(24))
    return SampleSet("job", tuple(f"s{i}" for i in range(len(rows))), rows, None, 0, "random")


@pytest.fixture(scope="module")
def base(tiny_bert):
    return resolve_model(str(tiny_bert))


@pytest.fixture(scope="module")
def runs(base, tuned_bert, bert_adapter, samples, tmp_path_factory):
    """The finished sets of a full fine-tune and of an adapter, seed 7, and of their base model."""
    folder = tmp_path_factory.mktemp("runs")
    tuned = {
        "full_finetune": resolve_model(str(tuned_bert)),
        "lora": resolve_model(str(bert_adapter)),
    }
    for method, source in tuned.items():
        extract_set(
            ExtractionJob("job", method, 7, 0, base, samples, OPTIONS, tuned=source, num_labels=2), folder / method
        )
    extract_set(ExtractionJob("job", "base", None, 0, base, samples, OPTIONS), folder / "base")
    return {name: open_set(folder / name) for name in ("base", *tuned)}


def _job(base, samples, run, options=OPTIONS, **changes):
    change = replace(MatchedChange.of(run.metadata), **changes)
    return ExtractionJob("job", "random_change", 7, 0, base, samples, options, random_change=change)


@pytest.mark.parametrize("method", ["full_finetune", "lora"])
def test_noise_of_the_size_of_each_change_is_in_every_changed_weight_and_in_no_other(base, samples, runs, method):
    moved, plain = load_backbone(base), load_backbone(base)
    said = MatchedChange.of(runs[method].metadata).apply(moved, OPTIONS)
    expected = {
        f"encoder.layer.{c.layer}.{c.module}" if c.layer is not None else c.module: c.change_norm
        for c in runs[method].metadata.weight_changes
    }
    assert sum(norm > 0 for norm in expected.values()) == said.weights_moved > 5
    squares = 0.0
    for (name, after), before in zip(moved.named_parameters(), plain.parameters(), strict=True):
        norm = float((after.detach().double() - before.detach().double()).norm())
        assert norm == pytest.approx(expected.get(name, 0.0), rel=1e-4, abs=0), name
        squares += norm**2
    assert said.change_norm == pytest.approx(squares**0.5, rel=1e-6)
    assert 0 < said.largest_norm_error < 1e-4
    assert (said.method, said.noise_seed) == (method, 7)
    assert said.changes_digest == changes_digest(runs[method].metadata.weight_changes)


@pytest.mark.parametrize("method", ["full_finetune", "lora"])
def test_set_is_that_of_the_moved_base_model_and_its_drift_is_not_the_runs(base, samples, runs, tmp_path, method):
    job = _job(base, samples, runs[method])
    metadata, new = extract_set(job, tmp_path / "control")
    assert new
    assert (metadata.method, metadata.seed, metadata.step) == ("random_change", 7, 0)
    assert metadata.weights_digest == metadata.base_weights_digest == base.weights_digest()
    assert metadata.model == base.ref
    assert metadata.random_change.method == method
    assert metadata.random_change.not_moved == (runs[method].metadata.weights_not_compared or [])
    model = load_backbone(base)
    job.random_change.apply(model, OPTIONS)
    expected = extract(model, samples, token_budget=60)
    stored = open_set(tmp_path / "control")
    for layer in stored.layers:
        assert torch.allclose(stored.layer(layer), expected[f"layer_{layer}"], atol=1e-6)
        before = runs["base"].layer(layer).numpy()
        control = 1 - measure("cka")(before, stored.layer(layer).numpy())
        tuned = 1 - measure("cka")(before, runs[method].layer(layer).numpy())
        assert control > 1e-5
        assert abs(control - tuned) > 1e-3 * tuned
    assert verify_set(tmp_path / "control") == []


def test_set_is_reused_and_replaced_as_what_it_depends_on_stays_or_changes(base, samples, runs, tmp_path):
    job = _job(base, samples, runs["lora"])
    first, _ = extract_set(job, tmp_path / "control")
    assert extract_set(job, tmp_path / "control") == (first, False)
    again, _ = extract_set(job, tmp_path / "other")
    assert again.files == first.files
    larger = [c.model_copy(update={"change_norm": 2 * c.change_norm}) for c in job.random_change.changes]
    keys = {
        job.key(),
        _job(base, samples, runs["lora"], noise_seed=8).key(),
        _job(base, samples, runs["lora"], changes=tuple(larger)).key(),
        _job(base, samples, runs["lora"], changes=tuple(larger[:1])).key(),
        _job(base, samples, runs["lora"], OPTIONS.model_copy(update={"pooling": "last"})).key(),
        replace(job, random_change=None).key(),
    }
    assert len(keys) == 6
    other, new = extract_set(_job(base, samples, runs["lora"], noise_seed=8), tmp_path / "control")
    assert new
    assert other.files != first.files


def test_choice_of_controls_is_in_no_sets_key(base, samples, runs):
    plain, chosen = (
        ExtractionJob("job", "base", None, 0, base, samples, OPTIONS.model_copy(update={"random_change": choice}))
        for choice in ("none", "all")
    )
    assert plain.key() == chosen.key() == runs["base"].metadata.key


def test_interrupted_set_is_continued_and_ends_with_the_same_bytes(base, samples, runs, tmp_path, interrupted_after):
    job = _job(base, samples, runs["full_finetune"])
    whole, _ = extract_set(job, tmp_path / "whole")
    with interrupted_after(1):
        extract_set(job, tmp_path / "cut")
    again, _ = extract_set(job, tmp_path / "cut")
    assert again.files == whole.files
    assert again.random_change == whole.random_change


def test_run_that_does_not_tell_how_far_its_weights_moved_is_said(runs):
    run = runs["lora"].metadata
    with pytest.raises(ModelError, match="`weights: false`"):
        MatchedChange.of(run.model_copy(update={"weight_changes": None, "weights_not_compared": None}))
    with pytest.raises(ModelError, match="layer-major schedule"):
        MatchedChange.of(
            run.model_copy(
                update={"weight_changes": [], "weights_not_compared": ["all: not measured in the layer-major schedule"]}
            )
        )
    still = [c.model_copy(update={"change_norm": 0.0}) for c in run.weight_changes]
    with pytest.raises(ModelError, match="moved none"):
        MatchedChange.of(run.model_copy(update={"weight_changes": still}))
