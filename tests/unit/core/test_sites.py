import pytest

from repdrift.core.records.sites import SITE_WORDS, SITES, SiteLayer, in_order, is_site_stem, places_of


def test_a_place_is_its_pair_and_names_its_file():
    assert SiteLayer("attn_out", 3) == ("attn_out", 3)
    assert {SiteLayer("attn_out", 3): 1}["attn_out", 3] == 1
    stems = [
        SiteLayer(*place).stem for place in (("resid_post", 3), ("mlp_out", 0), ("embeddings", -1), ("final_norm", 6))
    ]
    assert stems == ["layer_3", "mlp_out_0", "embeddings", "final_norm"]
    assert SiteLayer("resid_post", 3).words == "layer 3"
    assert SiteLayer("attn_out", 3).words == "attn_out of layer 3"
    assert SiteLayer("embeddings", -1).words == "embeddings"


@pytest.mark.parametrize("stem", ["layer_0", "attn_out_12", "mlp_out_1", "adapter_out_3", "embeddings", "final_norm"])
def test_names_of_files_are_known(stem):
    assert is_site_stem(stem)


@pytest.mark.parametrize(
    "stem",
    ["resid_post_1", "attn_out", "attn_out_", "attn_out_-1", "embeddings_0", "../layer_0", "layer_0\n", "Layer_0", ""],
)
def test_other_names_are_not(stem):
    assert not is_site_stem(stem)


def test_sites_come_in_one_order_with_the_residual_stream():
    assert in_order(["mlp_out", "attn_out", "mlp_out", "nothing"]) == ("resid_post", "attn_out", "mlp_out")
    assert in_order([]) == ("resid_post",)
    assert set(SITE_WORDS) == set(SITES)
    assert places_of([1, 2], {"embeddings": [-1], "attn_out": [2], "unknown": [4]}) == [
        ("resid_post", 1), ("resid_post", 2), ("attn_out", 2), ("embeddings", -1),
    ]  # fmt: skip
