"""Controls of a comparison: noise, mispaired samples and random changes, on a part of the samples."""

import numpy as np
import pytest

from repdrift.batches.batching import BatchPlan
from repdrift.comparison import by_rows, site_rows
from repdrift.comparison.comparing import compare
from repdrift.comparison.control_batches import mixed_batches
from repdrift.comparison.control_samples import control_samples
from repdrift.comparison.measured import Measured
from repdrift.comparison.options import ComparisonOptions
from repdrift.core.comparison_answers import drift_in_short
from repdrift.core.comparison_words import control_note
from repdrift.core.records.comparison import BaseLayer, LayerDrift
from repdrift.models import load_backbone, resolve_model
from tests.tiny_models import save_tuned, sentence
from tests.unit.comparison.tiny_comparisons import run, samples_of


def test_mispaired_samples_are_unrelated_though_batches_are_of_like_length(models, tmp_path):
    generator = np.random.default_rng(0)
    file = tmp_path / "texts.txt"
    file.write_text("\n".join("a " * int(k) + "b" for k in generator.integers(1, 40, size=150)))
    streamed = run(models, ["full"], file, accumulate="moments", token_budget=200)
    rows = run(models, ["full"], file, accumulate="rows")
    for one, other in zip(streamed.models[0].layers, rows.models[0].layers, strict=True):
        assert one.drift == pytest.approx(other.drift, abs=1e-4)
        assert other.mispaired_drift == pytest.approx(1, abs=0.1)
        assert one.mispaired_drift == pytest.approx(1, abs=0.1)


def test_no_sample_is_mispaired_with_itself_even_where_few_fit_into_a_batch(models, texts):
    plan = BatchPlan(samples_of(models["base"], texts), token_budget=1)
    assert {len(group) for group in plan.sample_indices} == {1}
    mixed = mixed_batches(plan)
    assert sorted(index for batch in mixed.sample_indices for index in batch) == list(range(40))
    assert min(len(batch) for batch in mixed.sample_indices) == 2
    assert [len(batch.sample_indices) for batch in mixed] == [len(batch) for batch in mixed.sample_indices]


def test_random_change_has_the_size_of_the_real_one(models, texts, tiny_bert):
    """The full model here *is* a random change: so the control drifts about as much."""
    result = run(models, ["full"], texts)
    for at in result.models[0].layers:
        assert 0.3 < at.random_change_drift / at.drift < 3


def test_controls_rest_on_a_part_of_the_samples_with_intervals(models, texts):
    part = run(models, ["full"], texts, control_samples=20)
    whole = run(models, ["full"], texts, control_samples=40)
    assert (part.control_samples, whole.control_samples) == (20, 40)
    for some, every in zip(part.models[0].layers, whole.models[0].layers, strict=True):
        assert some.drift == every.drift
        assert some.random_change_low < some.random_change_drift < some.random_change_high
        assert some.random_change_drift != every.random_change_drift
        assert some.random_change_low < every.random_change_drift < some.random_change_high
    for at in part.base_layers:
        assert 0 <= at.noise_floor <= at.noise_floor_high < 1e-6
    without = run(models, ["full"], texts, controls=False)
    assert without.control_samples is None
    assert without.base_layers[0].noise_floor is None
    assert [at.above_noise for at in without.models[0].layers] == [None] * 3


def test_random_change_on_a_part_is_that_of_a_run_on_the_part_alone(models, texts, tmp_path):
    samples = samples_of(models["base"], texts)
    chosen = control_samples(samples, ComparisonOptions(control_samples=12))
    assert len(set(chosen.indices)) == 12
    assert [samples.sample_ids[i] for i in chosen.indices] == list(chosen.samples.sample_ids)
    lines = texts.read_text().splitlines()
    (tmp_path / "part.txt").write_text("".join(lines[i] + "\n" for i in chosen.indices))
    for accumulate in ("rows", "moments"):
        part = run(models, ["full"], texts, control_samples=12, accumulate=accumulate)
        alone = run(models, ["full"], tmp_path / "part.txt", control_samples=12, accumulate=accumulate)
        for some, every in zip(part.models[0].layers, alone.models[0].layers, strict=True):
            assert some.random_change_drift == pytest.approx(every.random_change_drift, rel=1e-4)


def test_first_answer_is_said_before_the_controls(models, texts, capsys):
    result = run(models, ["full"], texts)
    said = capsys.readouterr().err
    assert f"{drift_in_short(result.models[0].layers)}; the controls follow" in said


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_a_random_change_never_lies_on_top_of_another(models, texts, tmp_path, accumulate):
    """Noise is put into the base model in place: what comes after it must run on a base model without it."""
    other = save_tuned(models["base"], tmp_path / "other", seed=3)
    both = compare(str(models["base"]), [str(models["full"]), str(other)], data=str(texts), accumulate=accumulate)
    alone = compare(str(models["base"]), [str(other)], data=str(texts), accumulate=accumulate)
    for one, two in zip(both.models[1].layers, alone.models[0].layers, strict=True):
        assert one.random_change_drift == pytest.approx(two.random_change_drift, rel=1e-9)
    adapters = run(models, ["a", "b"], texts, accumulate=accumulate)
    after = run(models, ["b"], texts, accumulate=accumulate)
    for one, two in zip(adapters.models[1].layers, after.models[0].layers, strict=True):
        assert one.random_change_drift == pytest.approx(two.random_change_drift, rel=1e-4)


def test_noise_is_that_of_batches_of_a_third_of_the_size(models, texts, monkeypatch):
    budgets, made = [], by_rows.extractor_for

    def extractor_for(model, options):
        budgets.append(options.token_budget)
        return made(model, options)

    for module in (by_rows, site_rows):
        monkeypatch.setattr(module, "extractor_for", extractor_for)
    run(models, ["full"], texts, token_budget=120)
    assert budgets == [120, 120, 40, 120], "base model, tuned model, base model again, random change"


def test_drift_is_above_noise_if_it_is_above_the_end_of_the_noises_interval():
    shape = {"top_feature_share": 0.1, "participation_ratio": 2.0, "largest_activation": 1.0}
    base_layers = [
        BaseLayer(layer=0, noise_floor=0.1, noise_floor_high=0.3, **shape),
        BaseLayer(layer=1, noise_floor=0.1, **shape),
        BaseLayer(layer=2, noise_floor=None, **shape),
    ]
    layers = [LayerDrift(layer=layer, rows=9, drift=0.2, values={}) for layer in range(3)]
    measured = Measured("rows", base_layers=base_layers, layers={"full": layers})
    measured.judge_noise()
    assert [at.above_noise for at in measured.layers["full"]] == [False, True, None]


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_control_that_cannot_be_made_is_missing_and_said(models, texts, tmp_path, accumulate):
    small = save_tuned(models["base"], tmp_path / "small", noise=3e-5)
    resized = load_backbone(resolve_model(str(models["full"])))
    resized.resize_token_embeddings(70)
    resized.save_pretrained(tmp_path / "resized")
    refs = [str(small), str(tmp_path / "resized"), str(models["full"])]
    result = compare(str(models["base"]), refs, data=str(texts), accumulate=accumulate, compute_dtype="bfloat16")
    assert [m.status for m in result.models] == ["compared"] * 3
    given = [[at.random_change_drift is not None for at in m.layers] for m in result.models]
    assert given == [[False] * 3, [True] * 3, [True] * 3]
    assert any("as large as that of small is missing" in w and "bfloat16" in w for w in result.warnings)
    assert any("the 60 rows that both have were compared" in note for note in result.models[1].notes)


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_control_samples_that_are_all_alike_leave_the_answer_as_it_is(models, tmp_path, accumulate):
    alike = set(np.random.default_rng(20241).choice(80, size=32, replace=False).tolist())
    lines = ["the cat" if i in alike else sentence(i, 3 + i % 9) for i in range(80)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    result = run(models, ["a", "b", "full"], tmp_path / "lines.txt", accumulate=accumulate)
    without = run(models, ["a", "b", "full"], tmp_path / "lines.txt", accumulate=accumulate, controls=False)
    assert [m.status for m in result.models] == ["compared"] * 3
    for one, other in zip(result.models, without.models, strict=True):
        assert [at.drift for at in one.layers] == [at.drift for at in other.layers]
        assert [at.random_change_drift for at in one.layers] == [None] * 3
    assert result.base_layers[0].noise_floor is None
    missing = [w for w in result.warnings if "is missing: layer 0: base" in w and "--control-samples" in w]
    assert sum("The noise floor" in w for w in missing) == 1
    of_models = [w for w in missing if "as large as that of" in w]
    assert len(of_models) == 1, "one sentence for one reason"
    assert "as large as that of 3 models (bert-adapter, b and tuned-bert) is missing" in of_models[0]


def test_intervals_of_controls_are_promised_only_where_there_are_some(models, texts):
    kept = run(models, ["full"], texts, accumulate="rows", control_samples=20)
    assert control_note(kept).endswith("on 20 of the 40 samples, drawn at random. comparison.json has their intervals.")
    sums = run(models, ["full"], texts, accumulate="moments", control_samples=20)
    assert control_note(sums).endswith("on 20 of the 40 samples, drawn at random.")


def test_controls_on_a_handful_of_samples_have_no_interval(models, texts):
    few = run(models, ["full"], texts, control_samples=9)
    assert few.base_layers[0].noise_floor is not None
    assert few.base_layers[0].noise_floor_high is None
    assert few.models[0].layers[0].random_change_drift > 0
    assert few.models[0].layers[0].random_change_high is None
    assert few.models[0].layers[0].above_noise
