"""Words on sites: where a change enters, and whether attention or MLP drifts more."""

import pytest

from repdrift.core.records.claims import Interval
from repdrift.core.records.site_drift import AdapterSize, AttentionOrMlp
from repdrift.core.site_words import (
    PlaceDrift,
    adapter_sentence,
    attention_or_mlp_sentence,
    drift_number,
    entry_sentence,
    massive_sentence,
    most_sentence,
    place_title,
)

PAIR = AttentionOrMlp(
    method="lora", layers=[0, 1], n_models=6, attention_drift=0.1, mlp_drift=0.3, difference=-0.2, over="models", pvalue=0.031, smallest_pvalue=0.031,
    intervals=[Interval(over="models", low=-0.25, high=-0.15, method="paired, Student's t")], attention_change=0.1, mlp_change=0.4,
)  # fmt: skip


def said(**changes):
    return attention_or_mlp_sentence(PAIR.model_copy(update=changes), "LoRA on RTE", alpha=0.05, confidence=0.95)


def places(*drifts, floor=1e-6):
    """Drifts in the order of computation: embeddings, then attention, MLP and stream of each block."""
    order = [("embeddings", -1), *((site, i) for i in range(2) for site in ("attn_out", "mlp_out", "resid_post"))]
    return [PlaceDrift(site, layer, drift, floor) for (site, layer), drift in zip(order, drifts, strict=True)]


def test_a_change_enters_at_the_first_place_that_drifts_in_the_order_of_computation():
    shuffled = places(0, 0, 0, 0, 0, 0.2, 0.4)[::-1]
    assert entry_sentence(shuffled) == (
        "The first place that drifts is the MLP output of layer 1 (drift 0.20): in the order of computation, the 5 places that were read before it have no drift above "
        "noise. So the change enters behind the attention output of layer 1, and not later than there."
    )


@pytest.mark.parametrize(
    ("drifts", "floor", "expected"),
    [
        ((0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), 1e-6, None),
        ((0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), 1e-6, None),  # only the embeddings stand before it
        ((0, 0, 0.1, 0.1, 0.1, 0.1, 0.1), 1e-6, "MLP output of layer 0"),
        ((0, 1e-5, 0.1, 0.1, 0.1, 0.1, 0.1), 1e-4, "MLP output of layer 0"),
        ((2e-16, 2e-16, 0, 0.1, 0.1, 0.1, 0.1), None, "residual stream of layer 0"),
        ((0, 0, 0, 0, 0, 0, 0), 1e-6, "No drift above noise at any of the 7 places"),
    ],
)
def test_where_a_change_enters(drifts, floor, expected):
    found = entry_sentence(places(*drifts, floor=floor))
    assert found is None if expected is None else expected in found


def test_the_larger_drift_is_named_with_p_and_a_positive_difference():
    assert said() == (
        "Attention or MLP, LoRA on RTE: the MLP output drifts more (p = 0.031, the smallest that 6 models can give): attention output 0.100, MLP output 0.300, mean "
        "over 2 layers; difference 0.200 (95 % interval 0.150 to 0.250 over models). Relative to its own size the first changed by 10 %, the second by 40 %."
    )


def test_an_undecided_test_says_so_and_too_few_models_too():
    assert "undecided (p = 0.4 over 6 models)" in said(pvalue=0.4)
    few = said(n_models=3, pvalue=0.25, smallest_pvalue=0.25)
    assert (
        "the MLP output drifts more in these 3 models, too few to tell it of others (p = 0.25, the smallest that 3 models can give)"
        in few
    )
    one = said(n_models=1, pvalue=None, smallest_pvalue=None, over=None, not_tested="only sums were kept", intervals=[])
    assert "the MLP output has the larger drift in this model, which is not tested, since only sums were kept" in one


def test_equal_drifts_and_missing_ones_are_no_finding():
    assert "neither more than the other" in said(attention_drift=0.1, mlp_drift=0.1, difference=0.0)
    missing = said(attention_drift=None, mlp_drift=None, difference=None, missing="mlp_out was not measured")
    assert missing == "Attention or MLP, LoRA on RTE: not known, since mlp_out was not measured."


def test_sites_are_listed_by_drift_and_the_stream_stands_apart():
    found = most_sentence({"resid_post": 0.9, "attn_out": 0.1, "mlp_out": 0.2, "embeddings": 1e-16}, "x")
    assert found == (
        "By site, x: the MLP output drifts most (0.200), then attention output 0.100, embeddings 0; residual stream 0.900."
    )
    assert most_sentence({"resid_post": 0.9, "attn_out": 0.1}, "x") is None


def test_the_adapters_branch_is_a_share_and_rounding_is_zero():
    sizes = [
        AdapterSize(method="lora", seed=seed, layer=layer, relative_size=0.1 * (layer + 1))
        for layer in (0, 1)
        for seed in (1, 2)
    ]
    assert (
        "is 10 % to 20 % as large as the residual stream after its block (layers 0 to 1; largest in layer 1)"
        in adapter_sentence(sizes, "x")
    )
    assert adapter_sentence([], "x") is None
    assert (drift_number(-2e-16), drift_number(3e-5), drift_number(None)) == ("0", "0.0000300", "missing")


def test_massive_features_are_named_by_site():
    assert massive_sentence({"mlp_out": [], "attn_out": []}) == []
    (found,) = massive_sentence({"mlp_out": [1, 2], "embeddings": [-1]})
    assert "at the MLP output in layers 1 to 2 and the embeddings" in found
    assert place_title("embeddings", -1) == "embeddings"


def test_a_change_that_cka_does_not_see_is_found_by_its_size():
    scaled = [
        PlaceDrift("attn_out", 1, 0.0, 1e-6, 0.0, 1e-3),
        PlaceDrift("mlp_out", 1, 0.0, 1e-6, 0.5, 1e-3),
        PlaceDrift("resid_post", 1, 0.2, 1e-6),
    ]
    found = entry_sentence(scaled)
    assert (
        "The first place that moves is the MLP output of layer 1, by a change that CKA does not see (drift 0, relative change 50 %)"
        in found
    )
    unknown = [PlaceDrift(place.site, place.layer, place.drift, place.floor, place.change) for place in scaled]
    assert "The first place that drifts is the residual stream of layer 1" in entry_sentence(unknown)
