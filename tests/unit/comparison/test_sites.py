"""Sites inside the block in `compare`: planted edits are found and named, by rows and by moments."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from repdrift.comparison.comparing import compare
from repdrift.core.compared_site_words import model_sites
from repdrift.core.errors import ConfigError
from repdrift.core.records.comparison import COMPARISON_FILE, COMPARISON_SUMMARY, COMPARISON_TABLE, Comparison
from repdrift.extraction import extract
from repdrift.models import load_backbone, resolve_model
from repdrift.similarity import measure
from tests.tiny_models import save_adapter, write_sentences
from tests.unit.comparison.tiny_comparisons import samples_of

ALL = ("attn_out", "mlp_out", "embeddings", "final_norm")
EDITED = 1
"""The layer of the planted edits."""


def edited(base, folder, weight, rank=None):
    """Saves the base model with one matrix moved at random; rank 1: along one pair of directions."""
    model = AutoModel.from_pretrained(base)
    matrix = dict(model.named_parameters())[weight]
    g = torch.Generator().manual_seed(1)
    if rank == 1:
        one, two = (torch.randn(size, generator=g) for size in matrix.shape)
        matrix.data += 0.3 * torch.outer(one, two)
    else:
        matrix.data += 0.3 * torch.randn(matrix.shape, generator=g)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    at = f"layers.{EDITED}"
    return {
        "base": tiny_llama,
        "mlp": edited(tiny_llama, folder / "mlp", f"{at}.mlp.down_proj.weight", rank=1),
        "attention": edited(tiny_llama, folder / "attention", f"{at}.self_attn.o_proj.weight"),
        "lora": save_adapter(tiny_llama, folder / "lora", std=0.3, target_modules=["q_proj", "o_proj", "down_proj"]),
    }


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("texts") / "lines.txt", 40)


def compared(models, names, texts, **options):
    options = {"sites": (*ALL, "adapter_out"), "outputs": False, "sections": (), **options}
    return compare(str(models["base"]), [str(models[name]) for name in names], data=str(texts), **options)


@pytest.fixture(scope="module")
def by_rows(models, texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    return compared(models, ["mlp", "attention", "lora"], texts, output_dir=folder, token_budget=60), folder


@pytest.fixture(scope="module")
def by_moments(models, texts):
    return compared(models, ["mlp", "attention", "lora"], texts, accumulate="moments", token_budget=60)


def drifts(result, name):
    """By site and layer."""
    (model,) = [model for model in result.models if model.name == name]
    return {(of.site, at.layer): at for of in model.sites for at in of.layers}, model


@pytest.mark.parametrize("way", ["by_rows", "by_moments"])
def test_an_edit_of_the_mlp_leaves_the_attention_of_its_layer_and_is_named(way, request):
    result = request.getfixturevalue(way)
    result = result[0] if way == "by_rows" else result
    found, model = drifts(result, "mlp")
    for place in (("embeddings", -1), ("attn_out", 0), ("mlp_out", 0), ("attn_out", EDITED)):
        assert found[place].drift == pytest.approx(0, abs=1e-12), place
        assert found[place].above_noise is False
    assert found["mlp_out", EDITED].drift > 0.05
    assert found["mlp_out", EDITED].above_noise
    assert found["attn_out", EDITED + 1].drift > 1e-6
    section = model_sites(result, model)
    assert section.answer[0].startswith(f"The first place that drifts is the MLP output of layer {EDITED} (drift 0.")
    assert "the 5 places that were read before it" in section.answer[0]


@pytest.mark.parametrize("way", ["by_rows", "by_moments"])
def test_an_edit_of_attention_is_named_though_the_mlp_passes_it_on(way, request):
    result = request.getfixturevalue(way)
    result = result[0] if way == "by_rows" else result
    found, model = drifts(result, "attention")
    for site in ("attn_out", "mlp_out"):
        assert found[site, 0].drift == pytest.approx(0, abs=1e-12)
    assert found["attn_out", EDITED].drift > 0.05
    assert found["mlp_out", EDITED].drift > 0.05
    assert (
        model_sites(result, model)
        .answer[0]
        .startswith(f"The first place that drifts is the attention output of layer {EDITED} ")
    )


def test_drift_is_that_of_extraction_and_the_float64_measure(models, texts, by_rows):
    result, _ = by_rows
    samples = samples_of(models["base"], texts)
    pooling = result.pooling
    base, tuned = (
        extract(load_backbone(resolve_model(str(models[name]))), samples, pooling=pooling, sites=ALL, sinks=None)
        if pooling == "mean"
        else extract(load_backbone(resolve_model(str(models[name]))), samples, pooling="mean", sites=ALL)
        for name in ("base", "mlp")
    )
    assert result.sinks is None or result.sinks.sinks == 0, "then the mean without sinks is the mean"
    found, _ = drifts(result, "mlp")
    for (site, layer), at in found.items():
        stem = site if site in ("embeddings", "final_norm") else f"{site}_{layer}"
        x, y = base[stem].double(), tuned[stem].double()
        assert at.drift == pytest.approx(1 - measure("cka")(x, y), abs=1e-6)
        assert at.values["relative_change"] == pytest.approx(float((y - x).norm() / x.norm()), abs=1e-5)


def test_the_streams_change_is_the_sum_of_what_the_sites_changed(models, texts):
    samples = samples_of(models["base"], texts)
    tuned = extract(load_backbone(resolve_model(str(models["mlp"]))), samples, sites=("attn_out", "mlp_out"))
    expected = tuned["layer_0"] + tuned["attn_out_1"] + tuned["mlp_out_1"]
    torch.testing.assert_close(tuned["layer_1"], expected, rtol=1e-4, atol=1e-5)


def test_moments_give_what_rows_give_also_with_adapters_on_shared_weights(by_rows, by_moments):
    for name in ("mlp", "attention", "lora"):
        rows, model = drifts(by_rows[0], name)
        moments, other = drifts(by_moments, name)
        assert rows.keys() == moments.keys()
        for place, at in rows.items():
            assert moments[place].drift == pytest.approx(at.drift, abs=1e-6), place
            assert moments[place].values["relative_change"] == pytest.approx(
                at.values["relative_change"], rel=1e-4, abs=1e-6
            )
            assert (moments[place].random_change_drift is None) == (at.random_change_drift is None)
        assert model.weights == other.weights
        assert other.attention_or_mlp.difference == pytest.approx(model.attention_or_mlp.difference, abs=1e-6)
    assert "only sums were kept" in by_moments.models[0].attention_or_mlp.not_tested


def test_every_site_has_the_controls_of_layers(by_rows):
    result, _ = by_rows
    for model in result.models:
        for of in model.sites:
            for at in of.layers:
                assert None not in (at.random_change_drift, at.mispaired_drift, at.above_noise), (
                    model.name,
                    of.site,
                    at.layer,
                )
                assert at.mispaired_drift > 0.5
    assert set(result.base_sites) == set(ALL)
    assert all(at.noise_floor is not None for layers in result.base_sites.values() for at in layers)
    found, _ = drifts(result, "mlp")
    assert found["mlp_out", EDITED].random_change_drift > 0.05, "the random change is of the same matrix"
    assert found["attn_out", EDITED].random_change_drift == pytest.approx(0, abs=1e-12)


def test_attention_against_mlp_has_a_paired_interval_over_samples(by_rows):
    result, _ = by_rows
    found, model = drifts(result, "mlp")
    pair = model.attention_or_mlp
    layers = range(3)
    assert pair.difference == pytest.approx(
        np.mean([found["attn_out", i].drift for i in layers]) - np.mean([found["mlp_out", i].drift for i in layers])
    )
    (interval,) = pair.intervals
    assert (interval.over, pair.over) == ("samples", "samples")
    assert interval.low < pair.difference < interval.high < 0
    assert pair.pvalue < 0.05
    said = next(line for line in model_sites(result, model).answer if line.startswith("Attention or MLP"))
    assert "the MLP output drifts more in this one model (p = " in said
    assert "over samples, which tells nothing of other seeds" in said


def test_the_adapters_branch_has_a_size_and_no_drift(by_rows, models, texts):
    result, folder = by_rows
    _, lora = drifts(result, "lora")
    assert {at.layer for at in lora.adapter_sizes} == {0, 1, 2}
    assert all(at.relative_size > 0 for at in lora.adapter_sizes)
    assert "no such branch" in lora.sites_left_out["adapter_out"]
    assert "adapter_out" not in {of.site for of in lora.sites}
    _, full = drifts(result, "mlp")
    assert "no active adapter" in full.sites_left_out["adapter_out"]
    assert full.adapter_sizes == []
    table = pd.read_csv(folder / COMPARISON_TABLE)
    branch = table[table["site"] == "adapter_out"]
    assert set(branch["measure"]) == {"relative_size"}
    assert branch["drift"].isna().all()
    summary = (folder / COMPARISON_SUMMARY).read_text()
    assert "The adapter's own branch, lora, is " in summary
    assert "the model has no active adapter in its blocks" in summary


def test_outputs_name_every_site_and_the_record_is_read_back(by_rows):
    result, folder = by_rows
    table = pd.read_csv(folder / COMPARISON_TABLE)
    assert set(table["site"]) == {"resid_post", "adapter_out", *ALL}
    assert len(table[(table["measure"] == "cka") & (table["site"] == "embeddings")]) == 3
    assert set(table[table["site"] == "final_norm"]["layer"]) == {3}
    again = Comparison.read(folder / COMPARISON_FILE)
    assert [model.sites for model in again.models] == [model.sites for model in result.models]
    assert (folder / "drift_by_site.png").stat().st_size > 5000
    assert "Sites inside the block: attention or MLP?" in (folder / COMPARISON_SUMMARY).read_text()


def test_without_sites_nothing_is_said_of_them(models, texts, tmp_path):
    result = compared(models, ["mlp"], texts, sites=(), output_dir=tmp_path, controls=False)
    assert result.models[0].sites == []
    assert model_sites(result, result.models[0]) is None
    assert not (tmp_path / "drift_by_site.png").exists()
    assert set(pd.read_csv(tmp_path / COMPARISON_TABLE)["site"]) == {"resid_post"}
    with_stream = compared(models, ["mlp"], texts, sites=("resid_post",), controls=False)
    assert with_stream.models[0].layers == result.models[0].layers


def test_an_unknown_site_is_an_error_that_lists_the_sites(models, texts):
    with pytest.raises(ConfigError, match="sites.*attn_out"):
        compared(models, ["mlp"], texts, sites=("attention",))


def test_a_site_at_which_all_samples_are_alike_is_left_out_with_the_reason(models, texts, tmp_path):
    silent = {"base": None, "tuned": None}
    for name, source in (("base", models["base"]), ("tuned", models["mlp"])):
        model = AutoModel.from_pretrained(source)
        for layer in model.layers:
            layer.self_attn.o_proj.weight.data.zero_()
        model.save_pretrained(tmp_path / name)
        AutoTokenizer.from_pretrained(models["base"]).save_pretrained(tmp_path / name)
        silent[name] = tmp_path / name
    for accumulate in ("rows", "moments"):
        result = compared(silent, ["tuned"], texts, sites=("attn_out", "mlp_out"), accumulate=accumulate)
        (model,) = result.models
        assert model.status == "compared"
        assert [of.site for of in model.sites] == ["mlp_out"]
        said = model_sites(result, model)
        assert any("attention output" in line for line in said.left_out), accumulate


def test_adapters_of_other_modules_on_shared_weights_keep_their_own_branches(models, texts, tmp_path):
    base = models["base"]
    one = save_adapter(base, tmp_path / "one", std=0.3, target_modules=["o_proj"])
    two = save_adapter(base, tmp_path / "two", std=0.3, seed=3, target_modules=["q_proj", "down_proj"])
    options = {"sites": ("mlp_out", "adapter_out"), "controls": False}
    together = compared({"base": base, "one": one, "two": two}, ["one", "two"], texts, **options)
    assert {model.weights for model in together.models} == {"the base model's, in memory once"}
    for name, folder, model in zip(("one", "two"), (one, two), together.models, strict=True):
        (alone,) = compared({"base": base, name: folder}, [name], texts, **options).models
        assert [at.relative_size for at in model.adapter_sizes] == pytest.approx(
            [at.relative_size for at in alone.adapter_sizes]
        )
        assert len(model.adapter_sizes) == 3


def test_a_branch_that_cannot_be_told_apart_leaves_the_other_sites(models, texts, tmp_path):
    dora = save_adapter(models["base"], tmp_path / "dora", std=0.3, use_dora=True, target_modules=["o_proj"])
    for accumulate in ("rows", "moments"):
        options = {"sites": ("attn_out", "adapter_out"), "controls": False, "accumulate": accumulate}
        (model,) = compared({"base": models["base"], "dora": dora}, ["dora"], texts, **options).models
        assert model.status == "compared"
        assert [of.site for of in model.sites] == ["attn_out"]
        assert "DoRA" in model.sites_left_out["adapter_out"]


def test_pooling_tokens_and_few_samples_say_why_attention_and_mlp_are_not_tested(models, texts):
    options = {"sites": ("attn_out", "mlp_out"), "controls": False}
    tokens = compared(models, ["mlp"], texts, pooling="tokens", accumulate="rows", **options).models[0]
    assert tokens.attention_or_mlp.not_tested == "tokens of one text are not independent"
    few = compared(models, ["mlp"], texts, samples=4, **options).models[0]
    assert few.attention_or_mlp.not_tested == "samples are too few, or nothing drifts"
    assert few.attention_or_mlp.intervals == tokens.attention_or_mlp.intervals == []


def test_a_scaled_mlp_is_named_though_its_own_cka_is_one(models, texts, tmp_path):
    model = AutoModel.from_pretrained(models["base"])
    model.layers[EDITED].mlp.down_proj.weight.data *= 1.5
    model.save_pretrained(tmp_path / "scaled")
    AutoTokenizer.from_pretrained(models["base"]).save_pretrained(tmp_path / "scaled")
    result = compared({"base": models["base"], "scaled": tmp_path / "scaled"}, ["scaled"], texts, controls=False)
    found, model = drifts(result, "scaled")
    assert found["mlp_out", EDITED].drift == pytest.approx(0, abs=1e-9)
    assert found["mlp_out", EDITED].values["relative_change"] == pytest.approx(0.5, abs=1e-4)
    said = model_sites(result, model).answer[0]
    assert said.startswith(
        f"The first place that moves is the MLP output of layer {EDITED}, by a change that CKA does not see"
    )
