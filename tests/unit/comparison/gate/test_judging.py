"""Verdicts of a gate: noise alone does not fail it, and what cannot be judged does not pass."""

import pytest

from repdrift.comparison.gate import Gate, judge
from repdrift.core.confidence import student_quantile
from repdrift.core.gate_words import beside_limit
from repdrift.core.records.comparison import SiteLayers
from tests.unit.comparison.gate.gated_comparisons import change, comparison, further, layer, model, outputs

LIMIT = 0.3


def only(result, gate=None):
    (one,) = judge(result, gate or Gate(LIMIT)).judged
    return one


@pytest.mark.parametrize(
    ("drift", "error", "verdict", "said"),
    [
        (0.5, 0.1, "failed", "above the limit of 0.3"),
        (0.35, 0.1, "passed", "the number itself lies above the limit. More samples would tell."),
        (0.25, 0.2, "passed", "the number itself lies below the limit"),
        (0.1, 0.1, "passed", "0.12 at most, not above"),
        (0.5, None, "not judged", "It has no interval"),
    ],
)
def test_the_lower_end_decides(drift, error, verdict, said):
    one = only(comparison(model("a", [layer(0, drift, error)])))
    assert one.verdict == verdict
    assert said in one.reason


def test_the_lower_ends_of_all_layers_and_models_hold_together():
    drift, error = 0.4, 0.12
    alone = judge(comparison(model("a", [layer(0, drift, error)])), Gate(LIMIT))
    many = [model(name, [layer(k, drift, error) for k in range(12)]) for name in ("a", "b")]
    together = judge(comparison(*many), Gate(LIMIT))
    assert (alone.verdict, together.verdict) == ("failed", "passed")
    assert together.together == 24
    expected = drift * (1 - student_quantile(1 - 0.025 / 24, 100) * error)
    assert {round(one.ends.low, 12) for one in together.judged} == {round(expected, 12)}


def test_exit_codes_put_a_failure_before_what_could_not_be_judged():
    failing, open_, fine = layer(0, 0.9, 0.01), layer(1, 0.9), layer(2, 0.1, 0.01)
    found = {
        code: judge(comparison(model("a", layers)), Gate(LIMIT)).exit_code
        for code, layers in {3: [failing, open_, fine], 4: [open_, fine], 0: [fine]}.items()
    }
    assert found == {3: 3, 4: 4, 0: 0}


def test_only_the_named_layers_are_judged_and_one_that_is_not_there_is_no_pass():
    result = comparison(model("a", [layer(0, 0.9, 0.01), layer(1, 0.1, 0.01)]))
    assert judge(result, Gate(LIMIT, layers=(1,))).verdict == "passed"
    report = judge(result, Gate(LIMIT, layers=(1, 7)))
    assert [one.verdict for one in report.judged] == ["passed", "not judged"]
    assert "This layer is not among those that were compared: layers 0 to 1" in report.judged[1].reason


def test_the_mean_is_one_number_beside_the_layers_or_alone():
    result = comparison(model("a", [layer(0, 0.9, 0.05), layer(1, 0.1, 0.05)]))
    mean = only(result, Gate(LIMIT, by_layer=False, mean=True))
    assert (mean.what, mean.verdict) == ("mean drift over layers 0 to 1", "failed")
    assert mean.value == pytest.approx(0.5)
    both = judge(result, Gate(LIMIT, layers=(1,), mean=True))
    assert [(one.what, one.verdict) for one in both.judged] == [
        ("drift in layer 1", "passed"), ("mean drift over layer 1", "passed"),
    ]  # fmt: skip


def test_a_mean_with_a_layer_that_has_no_interval_is_not_judged():
    one = only(comparison(model("a", [layer(0, 0.9, 0.05), layer(1, 0.8)])), Gate(LIMIT, by_layer=False, mean=True))
    assert one.verdict == "not judged"
    assert "drift in layer 1" in one.reason


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"pooling": "tokens"}, "tokens of one text are not independent"),
        ({"accumulated": "moments"}, "only sums were kept"),
        ({"sample_groups": 4, "sample_group_unit": "paragraph"}, "4 "),
        (
            {"sample_groups": 12, "no_group_interval": "one of 12 groups holds 90 of the 101 samples"},
            "holds 90 of the 101",
        ),
    ],
)
@pytest.mark.parametrize("drift", [0.1, 0.9])
def test_without_an_interval_by_design_nothing_passes(more, said, drift):
    one = only(comparison(model("a", [layer(0, drift)]), **more))
    assert one.verdict == "not judged"
    assert said in one.reason


def test_too_few_samples_are_not_judged_whatever_their_interval():
    one = only(comparison(model("a", [layer(0, 0.9, 0.01, rows=9)]), samples=9))
    assert one.verdict == "not judged"
    assert "there are 9 samples" in one.reason


def test_where_nothing_or_one_sample_moved_the_number_itself_decides():
    still = layer(0, 0.0, drift_low=0.0, drift_high=0.0, freedom=100.0)
    one_sample = layer(1, 1e-4)
    report = judge(comparison(model("a", [still, one_sample])), Gate(LIMIT))
    assert [one.verdict for one in report.judged] == ["passed", "passed"]
    assert "without one of the samples nothing moved at all" in report.judged[1].reason
    assert only(comparison(model("a", [layer(0, 0.9)]))).verdict == "not judged"


def test_a_drift_that_is_not_above_noise_does_not_fail():
    one = only(comparison(model("a", [layer(0, 2e-6, 0.01, above_noise=False)])), Gate(1e-6))
    assert one.verdict == "not judged"
    assert "noise alone may make it" in one.reason


@pytest.mark.parametrize("gate", [Gate(LIMIT), Gate(LIMIT, layers=(0, 1)), Gate(LIMIT, by_layer=False, mean=True)])
def test_a_model_that_was_not_compared_is_not_judged(gate):
    lost = model("b", status="not comparable", reason="it has another tokenizer")
    by_grid = model("c", status="compared by grid", reason="it has 4 layers, the base model 3")
    report = judge(comparison(model("a", [layer(0, 0.1, 0.01), layer(1, 0.1, 0.01)]), lost, by_grid), gate)
    assert report.exit_code == 4
    unjudged = report.of("not judged")
    assert {one.model for one in unjudged} == {"b", "c"}
    assert {"another tokenizer" in one.reason or "4 layers" in one.reason for one in unjudged} == {True}


def test_another_measure_is_judged_by_its_own_interval_or_not_at_all():
    with_interval = {"values": {"cka": 0.9, "cosine": 0.5}, "intervals": {"cosine": further(0.45, 0.55, 100)}}
    gate = Gate(LIMIT, measure="cosine")
    assert only(comparison(model("a", [layer(0, 0.1, 0.01, **with_interval)])), gate).verdict == "failed"
    bare = only(comparison(model("a", [layer(0, 0.1, 0.01, values={"cka": 0.9, "cosine": 0.9})])), gate)
    assert (bare.verdict, "--interval-for cosine" in bare.reason) == ("not judged", True)
    undefined = comparison(
        model("a", [layer(0, 0.1, 0.01, values={"cka": 0.9, "cosine": None})]),
        warnings=["No value of cosine for a in any layer: this takes equal numbers of features."],
    )
    assert "equal numbers of features" in only(undefined, gate).reason
    assert "--measure cosine" in only(comparison(model("a", [layer(0, 0.1, 0.01)])), gate).reason


def test_a_record_of_an_older_version_is_not_judged():
    one = only(comparison(model("a", [layer(0, 0.9, 0.01, freedom=None)])))
    assert (one.verdict, "older version" in one.reason) == ("not judged", True)


def outcome(limit, name, *changes, **more):
    result = comparison(model("a", [layer(0, 0.1, 0.01)], outputs=outputs(*changes, **more)))
    return only(result, Gate(None, outcomes=((name, limit),)))


def test_outcomes_are_judged_by_their_difference_on_their_own_texts():
    task = change("forgetting", 3.0, difference=-0.5, low=-0.6, high=-0.4, freedom=39)
    general = change("forgetting", 3.0, difference=0.2, low=0.1, high=0.3, freedom=39, inputs="general_text")
    assert outcome(0.05, "forgetting", task, general).verdict == "failed"
    assert outcome(0.15, "forgetting", task, general).verdict == "passed"
    assert outcome(0.0, "loss", task, general).verdict == "passed"
    alone = outcome(0.05, "forgetting", task)
    assert (alone.verdict, "--general-text packaged" in alone.reason) == ("not judged", True)


def test_agreement_is_turned_into_its_complement():
    agreement = change("top1_agreement", 0.6, low=0.5, high=0.7, freedom=39)
    found = outcome(0.2, "other_token", agreement)
    assert (found.verdict, found.value) == ("failed", pytest.approx(0.4))
    assert found.ends == pytest.approx((0.3, 0.5))


def test_an_outcome_without_spread_passes_on_its_value_alone_and_few_texts_do_not():
    none_differs = change("disagreement", 0.0, note="no interval: none of 40 groups or items differs")
    assert outcome(0.05, "disagreement", none_differs).verdict == "passed"
    all_differ = change("disagreement", 1.0, note="no interval: all items have the same value")
    assert outcome(0.05, "disagreement", all_differ).verdict == "not judged"
    few = change("disagreement", 0.0, n=5, note="no interval: 5 groups or items that stand alone, and 10 are needed")
    assert outcome(0.05, "disagreement", few).verdict == "not judged"


def test_an_outcome_that_does_not_apply_is_not_judged_for_its_own_reason():
    reasons = ["Forgetting does not apply: no head.", "Classes that change do not apply: other classes."]
    assert outcome(0.1, "disagreement", left_out=reasons).reason == reasons[1]
    assert outcome(0.1, "loss", left_out=reasons).reason == reasons[0]
    nothing = only(comparison(model("a", [layer(0, 0.1, 0.01)])), Gate(None, outcomes=(("loss", 0.1),)))
    assert (nothing.verdict, "--no-outputs" in nothing.reason) == ("not judged", True)


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [(0.41, 0.3, "0.41"), (0.3004, 0.3, "0.3004"), (0.29996, 0.3, "0.29996"), (0.3, 0.3, "0.30"), (0.0, 0.0, "0"), (4e-7, 0.0, "0.00000040")],
)  # fmt: skip
def test_a_number_shows_on_which_side_of_its_limit_it_lies(value, limit, text):
    assert beside_limit(value, limit) == text


def at_sites(**layers):
    return [SiteLayers(site=site, layers=of, mean_drift=0.1) for site, of in layers.items()]


def test_sites_are_gated_where_they_are_named_each_in_its_own_words():
    layers = [layer(0, 0.1, 0.01), layer(1, 0.1, 0.01)]
    sites = at_sites(attn_out=[layer(0, 0.9, 0.01), layer(1, 0.1, 0.01)], embeddings=[layer(-1, 0.5)])
    result = comparison(model("a", layers, sites=sites, sites_left_out={"mlp_out": "its rows are all alike"}))
    assert judge(result, Gate(LIMIT)).verdict == "passed", "other sites are not gated unasked"
    report = judge(result, Gate.of(LIMIT, sites=["attn_out,embeddings", "mlp_out"], layers="0"))
    found = {one.what: (one.verdict, one.reason) for one in report.judged}
    assert list(found) == ["drift in the attention output of layer 0", "drift in the MLP output of layer 0", "drift in the embeddings"]  # fmt: skip
    assert found["drift in the attention output of layer 0"][0] == "failed"
    assert found["drift in the MLP output of layer 0"] == ("not judged", "It was not measured at this site: its rows are all alike.")  # fmt: skip
    assert found["drift in the embeddings"][0] == "not judged"
    assert "It has no interval" in found["drift in the embeddings"][1]
    assert report.verdict == "failed"


def test_the_mean_over_layers_of_a_site_is_named_after_it_and_a_single_place_has_no_mean():
    sites = at_sites(mlp_out=[layer(0, 0.5, 0.01), layer(1, 0.7, 0.01)], final_norm=[layer(2, 0.1, 0.01)])
    report = judge(comparison(model("a", [layer(0, 0.1, 0.01)], sites=sites)), Gate.of(LIMIT, sites=["mlp_out,final_norm"], layers="mean"))  # fmt: skip
    assert [(one.what, one.verdict) for one in report.judged] == [
        ("mean drift of the MLP output over layers 0 to 1", "failed"), ("drift in the output of the final norm", "passed"),
    ]  # fmt: skip
    assert report.judged[0].value == pytest.approx(0.6)


def test_a_model_without_a_site_is_told_how_to_measure_it():
    one = only(comparison(model("a", [layer(0, 0.1, 0.01)])), Gate.of(LIMIT, sites=["embeddings"]))
    assert (one.verdict, one.what, one.reason) == ("not judged", "drift in the embeddings", "It was not measured at this site; give --site embeddings.")  # fmt: skip
