"""Sites in representation sets: both schedules, after an interruption, several processes' journals, damage, and older sets."""

import pytest
import torch

from repdrift.core.errors import CorruptSetError, ModelError, UnknownNameError
from repdrift.core.records.representation_set import SetMetadata
from repdrift.extraction import ExtractionJob, ExtractionOptions, extract, extract_set
from repdrift.models import load_backbone, resolve_model
from repdrift.models.lazy_model import LazyModel
from repdrift.stores import open_set, verify_set
from tests.resealed import edit_record

ALL = ("resid_post", "attn_out", "mlp_out", "embeddings", "final_norm")


def _job(source, samples, tuned=None, **options):
    return ExtractionJob(
        "job", "lora" if tuned else "base", 1 if tuned else None, 0, resolve_model(str(source)), samples, ExtractionOptions(**options),
        tuned=tuned and resolve_model(str(tuned)),
    )  # fmt: skip


def _files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".pt"}


@pytest.mark.parametrize("pooling", ["mean", "mean_without_sinks", "tokens"])
def test_both_schedules_write_the_same_sites(tiny_llama, samples, tmp_path, pooling):
    for schedule in ("sample", "layer"):
        job = _job(tiny_llama, samples, sites=ALL, schedule=schedule, pooling=pooling, token_budget=40)
        metadata, _ = extract_set(job, tmp_path / schedule)
        assert metadata.sites == list(ALL)
        assert metadata.site_layers == {
            "attn_out": [0, 1, 2],
            "mlp_out": [0, 1, 2],
            "embeddings": [-1],
            "final_norm": [3],
        }
        assert verify_set(tmp_path / schedule) == []
    assert _files(tmp_path / "sample") == _files(tmp_path / "layer")
    names = {f"{stem}_{layer}.pt" for stem in ("layer", "attn_out", "mlp_out") for layer in range(3)}
    assert set(_files(tmp_path / "layer")) == names | {"embeddings.pt", "final_norm.pt"}


def test_the_set_gives_each_site_by_name_and_layer(tiny_llama, samples, tmp_path):
    found = extract(load_backbone(resolve_model(str(tiny_llama))), samples, sites=ALL)
    extract_set(_job(tiny_llama, samples, sites=ALL, pooling="mean"), tmp_path)
    stored = open_set(tmp_path)
    for place in stored.places:
        torch.testing.assert_close(stored.at(*place), found[place.stem], rtol=0, atol=1e-6)
    assert torch.equal(stored.at("resid_post", 1), stored.layer(1))
    with pytest.raises(UnknownNameError, match=r"attn_out of layer 3 not in .* \(layers 0 to 2\)"):
        stored.at("attn_out", 3)
    with pytest.raises(UnknownNameError, match=r"\(sites resid_post, attn_out, mlp_out, embeddings, final_norm\)"):
        stored.at("adapter_out", 0)


@pytest.mark.parametrize(("schedule", "batches"), [("sample", 2), ("layer", 7)])
def test_an_interrupted_set_goes_on_and_ends_with_the_same_bytes(
    tiny_llama, samples, tmp_path, interrupted_after, schedule, batches
):
    job = _job(tiny_llama, samples, sites=ALL, schedule=schedule, token_budget=40, pooling="mean")
    whole, _ = extract_set(job, tmp_path / "whole")
    with interrupted_after(batches):
        extract_set(job, tmp_path / "cut")
    partial = tmp_path / "cut/.partial"
    assert (partial / "final_norm.pt").is_file()
    (partial / "attn_out_1.pt").write_bytes(b"x" * 20)  # as if its rows had not arrived
    again, new = extract_set(job, tmp_path / "cut")
    assert new
    assert again.files == whole.files
    assert _files(tmp_path / "cut") == _files(tmp_path / "whole")


def test_a_damaged_site_is_found_and_the_set_is_made_anew(tiny_bert, samples, tmp_path):
    job = _job(tiny_bert, samples, sites=("attn_out",))
    extract_set(job, tmp_path)
    path = tmp_path / "attn_out_1.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[:-200] + bytes(200))
    assert [fault.path for fault in verify_set(tmp_path)] == [path]
    with pytest.raises(CorruptSetError, match="attn_out_1.pt"):
        open_set(tmp_path).at("attn_out", 1)
    assert extract_set(job, tmp_path)[1]
    assert path.read_bytes() == whole


def test_metadata_without_the_checksum_of_a_site_is_refused(tiny_bert, samples, tmp_path):
    extract_set(_job(tiny_bert, samples, sites=("attn_out",)), tmp_path)
    edit_record(tmp_path / "metadata.json", lambda content: content["files"].pop("attn_out_2.pt"))
    with pytest.raises(CorruptSetError, match="no checksum of attn_out_2.pt"):
        open_set(tmp_path)


def test_sites_are_in_the_key_only_where_they_are_asked_for(tiny_bert, samples, tmp_path):
    plain = _job(tiny_bert, samples, pooling="mean")
    assert plain.options.for_key() == {
        "pooling": "mean", "layers": None, "dtype": "float32", "compute_dtype": "float32", "payload": "pt", "blocks": None
    }  # fmt: skip
    assert _job(tiny_bert, samples, pooling="mean", sites=("resid_post",)).key() == plain.key()
    one, other = (
        _job(tiny_bert, samples, sites=sites)
        for sites in (("mlp_out", "attn_out"), ("attn_out", "mlp_out", "resid_post"))
    )
    assert one.key() == other.key() != plain.key()
    metadata, _ = extract_set(plain, tmp_path)
    assert (metadata.sites, metadata.site_layers) == (["resid_post"], {})
    edit_record(
        tmp_path / "metadata.json",
        lambda content: [content.pop(f"site{end}") for end in ("s", "_layers", "s_left_out")],
    )
    assert SetMetadata.read(tmp_path / "metadata.json") == metadata
    assert not extract_set(plain, tmp_path)[1], "a set of an older version is taken as it is"


def test_a_model_without_an_adapter_leaves_its_branch_out_and_says_so(tiny_bert, samples, tmp_path, capsys):
    metadata, _ = extract_set(_job(tiny_bert, samples, sites=("adapter_out",)), tmp_path)
    assert metadata.sites == ["resid_post"]
    assert "no active adapter" in metadata.sites_left_out["adapter_out"]
    assert "3 layers, no adapter_out (the model has no active adapter in its blocks) -> " in capsys.readouterr().err
    with pytest.raises(UnknownNameError, match="adapter_out was left out: the model has no active adapter"):
        open_set(tmp_path).at("adapter_out", 0)


def test_a_site_that_cannot_be_found_leaves_nothing_behind(tiny_bert, samples, tmp_path):
    for schedule in ("sample", "layer"):
        with pytest.raises(ModelError, match="site 'final_norm' of BertModel cannot be read"):
            extract_set(_job(tiny_bert, samples, sites=("final_norm",), schedule=schedule), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_blocks_behind_the_last_that_is_read_are_not_loaded_for_their_sites(tiny_llama, samples, tmp_path, monkeypatch):
    loaded = []
    block = LazyModel.block
    monkeypatch.setattr(LazyModel, "block", lambda self, layer: (loaded.append(layer), block(self, layer))[1])
    for name, sites, last in (("a", ("attn_out", "embeddings"), 1), ("b", ("final_norm",), 2)):
        loaded.clear()
        job = _job(tiny_llama, samples, sites=sites, layers=(0, 1), schedule="layer", pooling="mean")
        metadata, _ = extract_set(job, tmp_path / name)
        assert max(loaded) == last
    assert metadata.site_layers == {"final_norm": [3]}
