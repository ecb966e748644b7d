"""Limits of a gate as a user writes them: what they mean, and that a gate which could never judge is refused."""

import pytest

from repdrift.comparison.gate import Gate, gate_options, require_judgeable
from repdrift.comparison.options import ComparisonOptions
from repdrift.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "layers", "by_layer", "mean"),
    [
        (None, None, True, False),
        ("all", None, True, False),
        ("mean", None, False, True),
        ("all,mean", None, True, True),
        ("0-2, 5", (0, 1, 2, 5), True, False),
        ("3", (3,), True, False),
        ("mean,4-5", (4, 5), True, True),
    ],
)
def test_layers_are_numbers_ranges_all_or_their_mean(text, layers, by_layer, mean):
    gate = Gate.of(0.3, layers=text)
    assert (gate.layers, gate.by_layer, gate.mean) == (layers, by_layer, mean)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "a gate needs a limit"),
        ({"fail_above": 30.0}, "never fails. For 30 % write 0.3."),
        ({"fail_above": 1.0}, "is 1 at most, so a limit of 1 never fails"),
        ({"fail_above": float("nan")}, "expected a number from 0, got nan"),
        ({"fail_above": float("inf")}, "expected a number from 0, got inf"),
        ({"fail_above": -0.1}, "expected a number from 0, got -0.1"),
        ({"fail_above": 0.3, "layers": "5-2"}, "got '5-2'"),
        ({"fail_above": 0.3, "layers": "last"}, "got 'last'"),
        ({"fail_above": 0.3, "layers": "-1"}, "got '-1'"),
        ({"fail_above": 0.3, "layers": ""}, "got ''"),
        ({"fail_above": 0.3, "layers": "all,2"}, "exclude each other"),
        ({"fail_above": 0.3, "layers": "0-99999"}, "got '0-99999'"),
        ({"fail_above": 0.3, "layers": "2-5", "compared_layers": (1, 2)}, "3 to 5 not among the layers that --layer names (1 to 2)"),
        ({"fail_above": 0.3, "measure_name": "ckaa"}, "Did you mean 'cka'"),
        ({"layers": "2", "outcomes": ["loss=1"]}, "--fail-layers without --fail-above"),
        ({"fail_above": 0.3, "sites": ["attn_ot"]}, "Did you mean 'attn_out'"),
        ({"fail_above": 0.3, "sites": ["adapter_out"]}, "has a size and no drift"),
        ({"sites": ["attn_out"], "outcomes": ["loss=1"]}, "--fail-site without --fail-above"),
        ({"outcomes": ["forgeting=0.1"]}, "Did you mean 'forgetting'"),
        ({"outcomes": ["forgetting"]}, "expected NAME=LIMIT"),
        ({"outcomes": ["forgetting="]}, "expected NAME=LIMIT"),
        ({"outcomes": ["forgetting=five"]}, "needs a number as its limit; got 'five'"),
        ({"outcomes": ["disagreement=5"]}, "For 5 % write 0.05."),
        ({"outcomes": ["loss=0.1", "loss=0.2"]}, "loss has two limits"),
    ],
)  # fmt: skip
def test_a_gate_that_could_never_judge_is_refused(given, said):
    with pytest.raises(ConfigError) as caught:
        Gate.of(**given)
    assert said in str(caught.value)


def test_all_faults_are_said_together():
    with pytest.raises(ConfigError) as caught:
        Gate.of(30.0, outcomes=["loss=x", "lost=1"])
    assert str(caught.value).count(";") >= 2


def test_distances_have_no_largest_limit_and_cosines_reach_two():
    assert Gate.of(30.0, measure_name="relative_change").fail_above == 30.0
    assert Gate.of(1.5, measure_name="cosine").fail_above == 1.5
    with pytest.raises(ConfigError, match="2 at most"):
        Gate.of(2.0, measure_name="cosine")


@pytest.mark.parametrize(
    ("gate", "options", "said"),
    [
        (Gate(0.3), {"pooling": "tokens"}, "tokens of one text are not independent"),
        (Gate(0.3), {"accumulate": "moments"}, "leave out --accumulate moments"),
        (Gate(None, outcomes=(("loss", 1.0),)), {"outputs": False}, "--no-outputs leaves out"),
        (Gate(None, outcomes=(("forgetting", 1.0),)), {}, "give --general-text packaged"),
    ],
)
def test_what_could_not_be_judged_is_refused_before_anything_is_run(gate, options, said):
    with pytest.raises(ConfigError, match=said):
        require_judgeable(gate, ComparisonOptions(**options))


def test_what_can_be_judged_is_not_refused():
    require_judgeable(Gate(0.3, outcomes=(("forgetting", 1.0),)), ComparisonOptions(general_text="packaged"))
    require_judgeable(Gate(None, outcomes=(("loss", 1.0),)), ComparisonOptions(pooling="tokens"))


def test_a_gated_site_must_be_measured():
    gate = Gate.of(0.3, sites=["attn_out, embeddings", "resid_post"])
    assert gate.sites == ("resid_post", "attn_out", "embeddings")
    require_judgeable(gate, ComparisonOptions(sites=("attn_out", "embeddings")))
    with pytest.raises(ConfigError, match="--fail-site embeddings: not measured: give --site embeddings too"):
        require_judgeable(gate, ComparisonOptions(sites=("attn_out",)))


@pytest.mark.parametrize(
    "given",
    [
        {"fail_above": 0.3},
        {"fail_above": 0.25, "layers": "0-5,8"},
        {"fail_above": 1e-7, "layers": "mean"},
        {"fail_above": 0.3, "layers": "mean,all", "measure_name": "cosine"},
        {"fail_above": 0.3, "layers": "mean,2,3,4,7", "sites": ["attn_out", "resid_post"]},
        {"outcomes": ["forgetting=0.05", "other_token=0.333333333333"]},
    ],
)
def test_the_options_of_a_gate_are_read_as_the_same_gate(given):
    gate = Gate.of(**given)
    words = gate_options(gate)
    again = Gate.of(
        words["fail_above"],
        layers=words["fail_layers"],
        measure_name=words["fail_measure"],
        outcomes=words["fail_outcome"],
        sites=words["fail_site"],
    )
    assert again == gate
    assert (words["fail_layers"] is None) == ("layers" not in given)
