"""How the learning rates were chosen, in summary and page: cautions first, every trial in a table, hostile names as text."""

import json

import pytest

from repdrift.core.first_lines import first_lines
from repdrift.core.records.results import DriftResults
from repdrift.core.records.tuning import TuningRecord, TuningTrial, chosen_trial, edge_of
from repdrift.core.tuning_words import choice_in_words, study_tuning, trial_in_words
from repdrift.drift.summary.document import summary_markdown
from repdrift.report.report_data import ReportData
from tests.unit.report.page.study.read_page import read_page
from tests.unit.report.synthetic_results import Synthetic, report_data


def trial(rate, score, metric="accuracy", **rest):
    outcome = "diverged" if score is None else "finished"
    content = {
        "key": f"k{rate}",
        "n_train": 8,
        "n_held_out": 4,
        "steps": 2,
        "started": "",
        "wall_time_s": 1.0,
        "device": "cpu",
    }
    return TuningTrial(
        learning_rate=rate, outcome=outcome, metric=None if score is None else metric, score=score, versions={},
        **{**content, **rest},
    )  # fmt: skip


def choice(task, method, *trials):
    best = chosen_trial(list(trials))
    assert best is not None
    return TuningRecord(
        key="k", task=task, method=method, words=method, sampler="grid", rates=[t.learning_rate for t in trials],
        n_trials=len(trials), pruning=False, seed=90_001, held_out=0.2, held_out_rows="4 of 12", hyperparameters={},
        base_model="m", base_digest="d", data_source="here", data_fingerprint="f", trials=list(trials),
        learning_rate=best.learning_rate, at_edge=edge_of(list(trials), best.learning_rate), created="",
    )  # fmt: skip


def outputs(tuning, **study):
    data = report_data(Synthetic(layers=2, seeds=(1, 2), **study))
    results = data.results.model_copy(update={"tuning": tuning})
    page = read_page(ReportData(results, data.table, data.table_name))
    return results, summary_markdown(results, data.table), page


def test_a_study_that_was_not_tuned_says_so_before_the_answer():
    tuning = study_tuning(None, {("mrpc", "full_finetune"): 2e-5, ("mrpc", "lora"): 2e-4})
    results, summary, page = outputs(tuning, tasks=("mrpc",))
    said = "The learning rates were not tuned: each method was trained at a rate that was fixed beforehand"
    assert first_lines(results)[-1].startswith(said)
    assert summary.index(said) < summary.index("## What was compared")
    assert page.words.index(said) < page.words.rindex("Missing runs and warnings")
    assert "full fine-tuning 2e-05 and LoRA 0.0002" in summary


def test_a_rate_at_the_edge_is_said_first_and_every_trial_stands_in_the_table():
    full = choice("mrpc", "full_finetune", trial(1e-5, 0.5), trial(1e-4, 0.75), trial(1e-3, None, reason="nan"))
    lora = choice("mrpc", "lora", trial(1e-4, 0.5), trial(1e-3, 0.75, low=0.625, high=0.875))
    tuning = study_tuning({("mrpc", "full_finetune"): full, ("mrpc", "lora"): lora}, {})
    results, summary, page = outputs(tuning, tasks=("mrpc",))
    assert tuning.tuned
    assert first_lines(results) == [
        "The best learning rate of LoRA on MRPC (0.001) is the highest of those that were tried: a better one may lie above it. Widen "
        "the range under tune.learning_rates."
    ]
    for text in (summary, page.words):
        assert "learning rate 0.001: training diverged" in text
        assert "learning rate 0.001: accuracy 0.750 (95 % interval 0.625 to 0.875)" in text
        assert "Chosen rates: MRPC: full fine-tuning 0.0001 and LoRA 0.001." in text
    assert page.words.count("chosen;") == 2
    assert page.words.count("chosen; it is the highest rate") == 1
    assert page.words.count("chosen; training at the next higher rate") == 1, "it diverged"


BREAKDOWN = "training at the next higher rate that was tried, 0.001, {}: with another seed, or on another processor, it may end so at this rate too"


@pytest.mark.parametrize(
    ("above", "how"),
    [
        (trial(1e-3, None, reason="nan"), "diverged"),
        (trial(1e-3, 0.5, constant_score=0.5), "was no better than the best constant answer"),
        (trial(1e-3, -4.0, "loss", constant_score=-3.5), "was no better than the base model"),
    ],
)
def test_a_rate_right_below_one_at_which_training_broke_down_is_said_beside_the_choice(above, how):
    metric = above.metric or "accuracy"
    learnt = trial(1e-4, 0.75 if metric == "accuracy" else -1.0, metric, constant_score=0.5 - 4 * (metric == "loss"))
    broken = choice("mrpc", "full_finetune", trial(1e-5, -5.0, metric), learnt, above, trial(1e-2, -4.0, metric))
    assert choice_in_words(broken).endswith(BREAKDOWN.format(how))
    results, summary, page = outputs(study_tuning({("mrpc", "full_finetune"): broken}, {}), tasks=("mrpc",))
    for text in (summary, page.words):
        assert f"chosen; {BREAKDOWN.format(how)}" in text
    assert first_lines(results) == [], "it changes no number"


@pytest.mark.parametrize(
    "above",
    [
        [trial(1e-3, 0.6, constant_score=0.5), trial(1e-2, None)],  # the next one has learnt
        [trial(1e-3, 0.5)],  # of an older version: it is not known
        [trial(1e-3, None).model_copy(update={"outcome": "stopped"})],
    ],
)
def test_a_rate_whose_next_higher_one_did_not_break_down_has_no_such_remark(above):
    found = choice("mrpc", "lora", trial(1e-5, 0.5), trial(1e-4, 0.75, constant_score=0.5), *above)
    assert "next higher" not in choice_in_words(found)


def test_where_nothing_was_learnt_at_the_chosen_rate_a_higher_one_tells_nothing():
    found = choice("mrpc", "lora", trial(1e-5, 0.4), trial(1e-4, 0.5, constant_score=0.5), trial(1e-3, None))
    assert choice_in_words(found).endswith("no better than the best constant answer, the best of 3 trials")


def test_hostile_names_are_text_in_page_and_summary():
    name = "</p><script>x</script>|"
    both = {(name, m): choice(name, m, trial(1e-4, 0.5), trial(1e-3, 0.75)) for m in ("full_finetune", "lora")}
    _, summary, page = outputs(study_tuning(both, {}), tasks=(name,))
    assert "script" not in page.tags
    assert "<script>" not in summary


def test_results_of_older_versions_do_not_tell_and_say_nothing():
    data = report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1, 2)))
    content = json.loads(data.results.model_dump_json())
    del content["tuning"]
    older = DriftResults.model_validate_json(json.dumps(content))
    assert older.tuning is None
    assert first_lines(older) == first_lines(data.results)
    assert "Learning rates" not in summary_markdown(older, data.table)


def test_a_loss_is_shown_as_it_is_and_lower_is_better():
    found = choice("mrpc", "lora", trial(1e-4, -2.0, "loss", low=-2.5, high=-1.5), trial(1e-3, -3.0, "loss"))
    assert found.learning_rate == 1e-4
    assert trial_in_words(found.best) == "learning rate 0.0001: loss 2.00 (95 % interval 1.50 to 2.50)"
    assert choice_in_words(found).endswith("it is the lowest rate that was tried, and a better one may lie below it")


@pytest.mark.parametrize(
    ("scores", "rate"), [((0.5, 0.5, 0.5), 1e-5), ((0.5, 0.75, 0.75), 1e-4), ((None, None, 0.1), 1e-3)]
)
def test_best_score_is_chosen_and_the_lower_rate_of_equals(scores, rate):
    trials = [trial(r, s) for r, s in zip((1e-5, 1e-4, 1e-3), scores, strict=True)]
    best = chosen_trial(list(reversed(trials)))
    assert best is not None
    assert best.learning_rate == rate
    assert chosen_trial([trial(1e-5, None)]) is None
