"""Attention sinks are found on the base model, exactly, and every model of a comparison leaves out the same ones."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from repdrift.core.errors import DataError, ModelError, SampleSetMismatchError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.core.sink_words import sink_cautions, sinks_in_words
from repdrift.drift.set_checks import require_comparable
from repdrift.extraction import (
    ExtractionJob,
    ExtractionOptions,
    MatchedChange,
    RepresentationExtractor,
    extract,
    extract_set,
    find_sinks,
)
from repdrift.extraction.sink_mask import SINK_RATIO, SinkMask
from repdrift.models import load_backbone, resolve_model
from repdrift.stores import open_set
from repdrift.tasks import SampleSet, token_ids
from tests.planted_sinks import SINKS, planted_positions, save_with_sinks
from tests.tiny_models import save_adapter, save_tuned

LENGTHS = (9, 4, 13, 2, 7, 13, 5, 5, 30, 8, 3, 11)


@pytest.fixture(scope="module")
def planted(tiny_llama, tmp_path_factory):
    return save_with_sinks(tiny_llama, tmp_path_factory.mktemp("planted") / "llama")


@pytest.fixture(scope="module")
def model(planted):
    return load_backbone(resolve_model(str(planted)))


@pytest.fixture(scope="module")
def texts():
    """Samples whose first token is a sink, or one in the middle, or both, or none."""
    g = torch.Generator().manual_seed(0)
    rows = []
    for number, length in enumerate(LENGTHS):
        ids = torch.randint(12, 40, (length,), generator=g)
        if number % 4 in (0, 2):
            ids[0] = SINKS[0]
        if number % 4 in (1, 2):
            ids[length // 2] = SINKS[1]
        rows.append(token_ids(ids.tolist()))
    return SampleSet("job", tuple(f"s{i}" for i in range(len(rows))), tuple(rows), None, 0, "planted")


def _padded(samples, *, side="right", extra=0):
    width = max(samples.lengths) + extra
    ids, mask = (torch.zeros((len(samples), width), dtype=torch.long) for _ in range(2))
    for row, tokens in enumerate(samples.input_ids):
        span = slice(0, len(tokens)) if side == "right" else slice(width - len(tokens), width)
        ids[row, span] = torch.tensor(list(tokens))
        mask[row, span] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _reference(model, samples, positions):
    """The mean over tokens that are no sinks, sample by sample, in float64 and without any of our pooling."""
    found = {layer: [] for layer in range(len(model.layers))}
    for ids, sinks in zip(samples.input_ids, positions, strict=True):
        kept = [at for at in range(len(ids)) if at not in sinks]
        outputs = {}
        hooks = [
            block.register_forward_hook(
                lambda _, __, output, layer=layer, outputs=outputs: outputs.update({layer: output})
            )
            for layer, block in enumerate(model.layers)
        ]
        with torch.no_grad():
            model(input_ids=torch.tensor([list(ids)]))
        for hook in hooks:
            hook.remove()
        for layer, output in outputs.items():
            hidden = output[0] if isinstance(output, tuple) else output
            found[layer].append(hidden[0].double()[kept].mean(0))
    return {f"layer_{layer}": torch.stack(rows) for layer, rows in found.items()}


def _job(source, samples, **fields):
    options = ExtractionOptions(**fields.pop("options", {}))
    job = ExtractionJob("job", "base", None, 0, resolve_model(str(source)), samples, options)
    return replace(job, **fields)


def test_planted_sinks_are_found_exactly(model, texts):
    found = find_sinks(model, texts)
    assert found.positions == planted_positions(texts)
    assert found.sinks == sum(map(len, found.positions)) == 12
    assert found.samples_with_sinks == sum(map(bool, found.positions)) == 9
    assert found.at_first_token == sum(0 in at for at in found.positions)
    assert {count.token_id for count in found.most_common} == set(SINKS)
    assert (found.largest_ratio_kept or 99) < SINK_RATIO / 2
    assert (found.smallest_ratio_left_out or 0) > 5 * SINK_RATIO
    assert sink_cautions(found) == []
    assert f"leaves out {found.sinks} of {sum(LENGTHS)} tokens" in sinks_in_words(found)


def test_rows_are_the_float64_mean_of_the_other_tokens(model, texts):
    sinks = find_sinks(model, texts)
    rows = extract(model, texts, pooling=SINK_POOLING, sinks=sinks)
    for name, expected in _reference(model, texts, planted_positions(texts)).items():
        assert torch.allclose(rows[name].double(), expected, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(extract(model, texts)[name].double(), expected, rtol=0.1)


def test_one_pass_gives_the_rows_that_two_passes_give(model, texts):
    mask = SinkMask()
    extractor = RepresentationExtractor(model, pooling=SINK_POOLING, sinks=mask, token_budget=40)
    one_pass = extractor.extract(texts)
    sinks = mask.record(texts)
    again = extract(model, texts, pooling=SINK_POOLING, sinks=sinks, token_budget=40)
    assert sinks.digest == find_sinks(model, texts).digest
    assert all(torch.equal(one_pass[layer], again[f"layer_{layer}"]) for layer in one_pass)


@pytest.mark.parametrize(("side", "extra", "budget"), [("left", 0, 10_000), ("right", 9, 31), ("left", 5, 1)])
def test_padding_batches_and_order_do_not_matter(model, texts, side, extra, budget):
    plain = find_sinks(model, texts)
    inputs = _padded(texts, side=side, extra=extra)
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(budget))
    found = find_sinks(model, {name: tensor[order] for name, tensor in inputs.items()}, token_budget=budget)
    assert found.positions == [plain.positions[at] for at in order.tolist()]
    rows = extract(model, texts, pooling=SINK_POOLING, sinks=plain)
    other = extract(
        model, inputs, pooling=SINK_POOLING, sinks=find_sinks(model, inputs, token_budget=budget), token_budget=budget
    )
    assert all(torch.allclose(rows[name], other[name], rtol=1e-4, atol=1e-5) for name in rows)


def test_chosen_layers_do_not_change_the_mask(model, texts):
    mask = SinkMask()
    some = RepresentationExtractor(model, layers=[1], pooling=SINK_POOLING, sinks=mask).extract(texts)
    whole = find_sinks(model, texts)
    assert mask.record(texts).digest == whole.digest
    assert torch.equal(some[1], extract(model, texts, pooling=SINK_POOLING, sinks=whole)["layer_1"])


def test_without_sinks_it_is_the_mean_bit_for_bit(tiny_llama, samples):
    plain = load_backbone(resolve_model(str(tiny_llama)))
    sinks = find_sinks(plain, samples)
    assert sinks.sinks == 0
    assert sinks.smallest_ratio_left_out is None
    assert "No token is an attention sink" in sinks_in_words(sinks)
    means = extract(plain, samples)
    rows = extract(plain, samples, pooling=SINK_POOLING, sinks=sinks, token_budget=4096)
    means = extract(plain, samples, token_budget=4096)
    assert all(torch.equal(rows[name], means[name]) for name in means)


@pytest.mark.parametrize("ids", [[7], [7, 11], [7, 7], [7, 11, 20]])
def test_a_sample_keeps_at_least_one_token(model, ids):
    samples = SampleSet("x", ("a",), (token_ids(ids),), None, 0, "x")
    sinks = find_sinks(model, samples)
    assert len(sinks.positions[0]) < len(ids)
    rows = extract(model, samples, pooling=SINK_POOLING, sinks=sinks)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in rows.values())


def test_single_tokens_beside_sinks_are_reported(model, texts):
    ids = (*texts.input_ids, token_ids([20]))
    found = find_sinks(model, SampleSet("x", (*texts.sample_ids, "one"), ids, None, 0, "x"))
    assert found.samples_of_one_token == 1
    assert any("one token only" in sentence for sentence in sink_cautions(found))


def test_tokens_that_are_sinks_in_different_layers_leave_one():
    mask, inputs = SinkMask(), {"input_ids": torch.tensor([[4, 5]]), "attention_mask": torch.ones((1, 2))}
    mask.observe(inputs, torch.tensor([[[100.0], [1.0]]]))
    mask.observe(inputs, torch.tensor([[[1.0], [300.0]]]))
    mask.settle(inputs)
    assert mask.positions(inputs) == [(1,)]  # the one of the larger ratio goes
    found = mask.record(SampleSet("x", ("a",), (token_ids([4, 5]),), None, 0, "x"))
    assert found.samples_all_sinks == 1
    assert any("every token" in sentence for sentence in sink_cautions(found))


def test_a_token_near_the_limit_is_said():
    mask, inputs = SinkMask(), {"input_ids": torch.tensor([[4, 5, 6]]), "attention_mask": torch.ones((1, 3))}
    mask.observe(inputs, torch.tensor([[[SINK_RATIO * 0.995], [1.0], [1.0]]]))
    mask.settle(inputs)
    found = mask.record(SampleSet("x", ("a",), (token_ids([4, 5, 6]),), None, 0, "x"))
    assert found.sinks == 0
    assert any("near the limit" in sentence for sentence in sink_cautions(found))


def test_padding_and_nan_on_padding_do_not_count():
    inputs = {"input_ids": torch.tensor([[4, 5, 6, 0]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    hidden = torch.tensor([[[1.0], [1.0], [50.0], [float("nan")]]])
    mask = SinkMask()
    mask.observe(inputs, hidden)
    mask.settle(inputs)
    assert mask.positions(inputs) == [(2,)]


def test_gaps_in_the_mask_make_another_sample():
    mask = SinkMask()
    whole = {"input_ids": torch.tensor([[4, 5]]), "attention_mask": torch.ones((1, 2))}
    gap = {"input_ids": torch.tensor([[4, 9, 5]]), "attention_mask": torch.tensor([[1, 0, 1]])}
    mask.observe(whole, torch.ones((1, 2, 1)))
    mask.settle(whole)
    assert mask.knows(whole)
    assert not mask.knows(gap)


def test_sinks_must_be_given_and_be_those_of_the_inputs(model, texts, samples):
    with pytest.raises(DataError, match="find_sinks"):
        extract(model, texts, pooling=SINK_POOLING)
    with pytest.raises(DataError, match="found on other samples"):
        extract(model, samples, pooling=SINK_POOLING, sinks=find_sinks(model, texts))


def test_both_schedules_write_the_same_sinks_and_rows(planted, texts, tmp_path):
    one, _ = extract_set(_job(planted, texts, options={"schedule": "sample"}), tmp_path / "sample")
    other, _ = extract_set(_job(planted, texts, options={"schedule": "layer", "layers": [0, 1]}), tmp_path / "layer")
    assert one.pooling == other.pooling == SINK_POOLING
    assert one.sinks is not None
    assert one.sinks == other.sinks
    assert one.sinks.positions == planted_positions(texts)
    assert one.sinks.most_common[0].text
    tuned = resolve_model(str(save_tuned(planted, tmp_path / "full")))
    for schedule in ("sample", "layer"):
        options = {"schedule": schedule, "layers": [0, 1]}
        job = _job(planted, texts, options=options, tuned=tuned, method="full", seed=1, sinks=one.sinks, num_labels=2)
        extract_set(job, tmp_path / f"tuned-{schedule}")
    for layer in (0, 1):
        for kind in ("", "tuned-"):
            rows = [open_set(tmp_path / f"{kind}{schedule}").layer(layer) for schedule in ("sample", "layer")]
            assert torch.allclose(rows[0], rows[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("schedule", ["sample", "layer"])
def test_interrupted_base_set_ends_with_the_same_sinks(planted, texts, tmp_path, interrupted_after, schedule):
    job = _job(planted, texts, options={"schedule": schedule, "token_budget": 40})
    whole, _ = extract_set(job, tmp_path / "whole")
    with interrupted_after(2):
        extract_set(job, tmp_path / "cut")
    again, new = extract_set(job, tmp_path / "cut")
    assert new
    assert again.sinks == whole.sinks
    assert again.files == whole.files


def test_every_set_of_a_base_model_leaves_out_the_same_tokens(planted, texts, tmp_path):
    tuned = save_tuned(planted, tmp_path / "full")
    with torch.no_grad():  # by itself the tuned model would have another sink
        model: Any = load_backbone(resolve_model(str(planted)))
        model.get_input_embeddings().weight[20] *= 1e4
        model.save_pretrained(tmp_path / "moved")
    sources = {"full": tuned, "lora": save_adapter(planted, tmp_path / "adapter", target_modules=["q_proj"])}
    base, _ = extract_set(_job(planted, texts), tmp_path / "base")
    assert base.sinks is not None
    assert find_sinks(load_backbone(resolve_model(str(tmp_path / "moved"))), texts).digest != base.sinks.digest
    jobs = {
        name: _job(
            planted, texts, tuned=resolve_model(str(source)), method=name, seed=1, sinks=base.sinks, num_labels=2
        )
        for name, source in sources.items()
    }
    found = {name: extract_set(job, tmp_path / name)[0] for name, job in jobs.items()}
    found["random"], _ = extract_set(
        _job(
            planted,
            texts,
            method="random_change",
            seed=1,
            sinks=base.sinks,
            random_change=MatchedChange.of(found["full"]),
        ),
        tmp_path / "random",
    )
    for name, metadata in found.items():
        assert metadata.sinks == base.sinks
        require_comparable(open_set(tmp_path / "base"), open_set(tmp_path / name))
    alone = replace(jobs["full"], sinks=None)
    with pytest.raises(ModelError, match="Extract the base model first"):
        alone.key()
    again, new = extract_set(alone, tmp_path / "full")  # the base model is run for its sinks, and the set is found
    assert (again.sinks, new) == (base.sinks, False)
    # Another mask is another set, and never compared with this one.
    fewer = [[] for _ in base.sinks.positions]
    other = base.sinks.model_copy(update={"positions": fewer, "digest": config_sha256({"sinks": fewer}), "sinks": 0})
    changed = replace(jobs["full"], sinks=other)
    assert changed.key() != jobs["full"].key()
    _, new = extract_set(changed, tmp_path / "full")
    assert new
    with pytest.raises(
        SampleSetMismatchError, match=r"differ in tokens left out as attention sinks: 12 \(mask .* and 0"
    ):
        require_comparable(open_set(tmp_path / "base"), open_set(tmp_path / "full"))


def test_encoders_keep_the_mean_and_their_keys(tiny_bert, tiny_llama, samples):
    auto, named = _job(tiny_bert, samples), _job(tiny_bert, samples, options={"pooling": "mean"})
    assert auto.pooling == "mean"
    assert auto.key() == named.key()
    assert ExtractionOptions().for_key() == ExtractionOptions(pooling="mean").for_key()
    before = {
        "pooling": "mean",
        "layers": None,
        "dtype": "float32",
        "compute_dtype": "float32",
        "payload": "pt",
        "blocks": None,
    }
    assert ExtractionOptions().for_key() == before
    assert _job(tiny_llama, samples).pooling == SINK_POOLING
    assert _job(tiny_llama, samples).key() != _job(tiny_llama, samples, options={"pooling": "mean"}).key()
