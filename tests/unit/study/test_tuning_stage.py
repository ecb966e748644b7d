"""Trials and choices: what is trained, what is chosen, what is kept, and what a study takes of it."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from repdrift.core.errors import ConfigError, DataError, MissingRunError, NonFiniteError, SampleSetMismatchError
from repdrift.core.records.tuning import TuningRecord
from repdrift.study.config import parse_study
from repdrift.study.drift_plan import drift_plan
from repdrift.study.inputs import StudyInputs
from repdrift.study.rate_search import RateSearch
from repdrift.study.runs import RunId, planned_runs
from repdrift.study.status import study_status
from repdrift.study.training_stage import find_run, train_runs
from repdrift.study.tuned_rates import tuning_folder
from repdrift.study.tuning_report import tuning_lines, tuning_of
from repdrift.study.tuning_stage import tune_arms
from repdrift.training import tuning_trial
from repdrift.training.run_claim import run_claim
from repdrift.training.scores import Scored
from tests.resealed import edit_record
from tests.unit.study.test_training_stage import write_rows

RATES = {"full_finetune": [1e-5, 1e-4, 1e-3], "lora": [1e-4, 1e-3, 1e-2]}


@pytest.fixture
def inputs(tmp_path, tiny_bert):
    """Makes the inputs of a study on 40 training rows; each call reads everything anew."""
    write_rows(tmp_path / "train.csv", 0, 40)
    write_rows(tmp_path / "validation.csv", 500, 12)
    task = {
        "name": "mine", "text_columns": ["body"], "label_column": "label",
        "train": str(tmp_path / "train.csv"), "validation": str(tmp_path / "validation.csv"),
    }  # fmt: skip

    def make(tune=None, training=None, **rest):
        content = {
            "name": "s", "model": str(tiny_bert), "tasks": [task], "seeds": [1], "results_dir": str(tmp_path / "results"),
            "training": {"all": {"epochs": 1, "batch_size": 8, "max_length": 16, **(training or {})}},
            "tune": {"learning_rates": RATES} if tune is None else tune, **rest,
        }  # fmt: skip
        return StudyInputs(parse_study(content, where="s"))

    return make


def right(share, n=8):
    """Scores of n rows, of which a share is right."""
    items = (np.arange(n) < round(share * n)).astype(float)
    return Scored({"accuracy": float(items.mean())}, "accuracy", items, np.zeros(n), "'0' for every row")


@pytest.fixture
def scored_by(monkeypatch):
    """Replaces training: takes a function from a job to its share of right rows, and returns the jobs as they are trained."""

    def replace(share):
        jobs = []

        def fit_job(job, classes, folder, *, saves, due, after_score):
            assert not saves
            jobs.append(job)
            found = share(job)
            along = found if isinstance(found, dict) else {}
            for step, value in along.items():
                if step in due(max(along)):
                    after_score(step, right(value))
            steps = max(along, default=4)
            scores = {step: right(value) for step, value in along.items()} or {steps: right(found)}
            tuned = SimpleNamespace(model=torch.nn.Linear(1, 1))
            return SimpleNamespace(
                tuned=tuned, result=SimpleNamespace(steps=steps), scores_at=SimpleNamespace(scored=scores)
            )

        monkeypatch.setattr(tuning_trial, "fit_job", fit_job)
        return jobs

    return replace


def tune(inputs, **chosen):
    return tune_arms(inputs, planned_runs(inputs.config, **chosen))


def rate_of(job):
    return job.options.learning_rate


def test_every_arm_gets_the_same_number_of_trials_scored_on_training_rows_with_a_seed_of_their_own(inputs, scored_by):
    jobs = scored_by(lambda job: 0.75 if rate_of(job) == 1e-3 else 0.5)
    full, lora = tune(inputs(training={"max_validation_samples": 4}))
    assert [rate_of(job) for job in jobs] == [*RATES["full_finetune"], *RATES["lora"]]
    study_inputs = inputs()
    train = {row["body"] for row in study_inputs.rows("mine", "train").rows}
    for job in jobs:
        assert job.seed == 90_001
        seen, scored = ({row["body"] for row in rows.rows} for rows in (job.training_rows(), job.validation_rows()))
        assert not seen & scored
        assert seen | scored == train
        assert len(scored) == 8, "all of them, whatever the number of validation rows in a run's metrics"
    assert (full.learning_rate, full.at_edge, lora.learning_rate, lora.at_edge) == (1e-3, "highest", 1e-3, None)


def test_of_equal_scores_the_lower_rate_is_chosen_and_a_diverged_trial_counts_as_tried(inputs, scored_by):
    def share(job):
        if rate_of(job) == 1e-2:
            raise NonFiniteError("the loss is nan in step 2 of 4: training diverged. Set a lower one.")
        return 0.5 if rate_of(job) == 1e-4 else 0.75

    scored_by(share)
    full, lora = tune(inputs(tune={"learning_rates": {"lora": RATES["lora"], "full_finetune": [1e-4, 1e-3, 5e-3]}}))
    assert (full.learning_rate, full.at_edge) == (1e-3, None)
    assert (lora.learning_rate, lora.at_edge) == (1e-3, None), "a higher rate was tried, and diverged"
    assert [t.outcome for t in lora.trials] == ["finished", "finished", "diverged"]
    assert lora.trials[2].score is None


def test_if_every_trial_diverges_no_rate_is_chosen_and_nothing_is_recorded(inputs, scored_by, tmp_path):
    def share(job):
        raise NonFiniteError("the loss is nan in step 2 of 4: training diverged.")

    scored_by(share)
    with pytest.raises(NonFiniteError, match=r"none of 3 trials finished.*tune\.learning_rates\.lora"):
        tune(inputs(), methods=["lora"])
    assert not list(tuning_folder(inputs().config, "mine", "lora").glob("*.json"))


def test_finished_trials_are_never_trained_again_after_a_kill_and_a_wider_grid_adds_its_own(inputs, scored_by):
    def killed(job):
        if rate_of(job) == 1e-2:
            raise KeyboardInterrupt
        return 0.5

    jobs = scored_by(killed)
    with pytest.raises(KeyboardInterrupt):
        tune(inputs(), methods=["lora"])
    jobs = scored_by(lambda _: 0.5)
    (choice,) = tune(inputs(), methods=["lora"])
    assert [rate_of(job) for job in jobs] == [1e-2]
    assert tune(inputs(), methods=["lora"]) == [choice]
    wider = {"learning_rates": {"lora": [1e-5, *RATES["lora"]]}}
    tune(inputs(tune=wider), methods=["lora"])
    assert [rate_of(job) for job in jobs] == [1e-2, 1e-5]
    other = inputs(training={"epochs": 2})
    tune(other, methods=["lora"])
    assert len(jobs) == 5, "other settings are other trials"


def test_an_arm_whose_trials_are_all_made_has_its_choice_though_the_command_is_killed_later(inputs, scored_by):
    def killed(job):
        if job.arm.name == "lora" and rate_of(job) == 1e-3:
            raise KeyboardInterrupt
        return 0.5

    scored_by(killed)
    assert tuning_lines(inputs().config) == ["mine: 0 of 6 learning rates tried"]
    with pytest.raises(KeyboardInterrupt):
        tune(inputs())
    config = inputs().config
    assert [len(list(tuning_folder(config, "mine", arm).glob("*.json"))) for arm in config.method_names] == [1, 0]
    assert tuning_lines(config) == ["mine: 4 of 6 learning rates tried (lora 1 of 3)"]
    assert tuning_lines(inputs(tune=False).config) == []


def test_a_damaged_trial_is_made_again_and_a_damaged_choice_is_not_taken(inputs, scored_by, capsys):
    jobs = scored_by(lambda _: 0.5)
    tune(inputs(), methods=["lora"])
    folder = tuning_folder(inputs().config, "mine", "lora")
    (choice,) = folder.glob("*.json")
    choice.write_text(choice.read_text().replace('"learning_rate": 0.0001', '"learning_rate": 0.01'))
    trial = next((folder / "trials").iterdir())
    trial.write_bytes(trial.read_bytes()[:-40])
    with pytest.raises(MissingRunError, match="is to be tuned"):
        inputs().training_job(RunId("mine", "lora", 1))
    tune(inputs(), methods=["lora"])
    assert len(jobs) == 4
    assert "left out, cannot be read" in capsys.readouterr().err
    assert TuningRecord.read(choice).learning_rate == 1e-4


def test_a_trial_that_another_process_is_at_is_left_for_the_end(inputs, scored_by):
    jobs = scored_by(lambda _: 0.5)
    held, released = inputs(), []
    real = held.config.method_names
    assert real == ["full_finetune", "lora"]
    series = tuning_trial.TrialSeries(
        held.job_before_tuning(RunId("mine", "full_finetune", 90_001)), 0.2,
        tuning_folder(held.config, "mine", "full_finetune"),
    )  # fmt: skip
    claim = run_claim(series.folder, series.key(1e-5), "the trial", wait=False)
    assert claim.__enter__()

    def share(job):
        if rate_of(job) == 1e-2 and not released:
            released.append(claim.__exit__(None, None, None))
        return 0.5

    jobs = scored_by(share)
    tune(inputs())
    assert [rate_of(job) for job in jobs] == [1e-4, 1e-3, *RATES["lora"], 1e-5]


def test_where_the_best_checkpoint_is_kept_a_trial_has_the_score_of_its_best_checkpoint(inputs, scored_by):
    scored_by(lambda job: {1: 0.25, 2: 1.0, 4: 0.5} if rate_of(job) == 1e-3 else {1: 0.75, 2: 0.75, 4: 0.75})
    (choice,) = tune(inputs(training={"keep": "best", "checkpoints": 3}), methods=["lora"])
    assert (choice.learning_rate, choice.best.score) == (1e-3, 1.0)
    (last,) = tune(inputs(), methods=["lora"])
    assert last.learning_rate != 1e-3


def test_real_trials_keep_no_weights_and_training_takes_the_chosen_rate(inputs, tmp_path):
    two = {"learning_rates": {"full_finetune": [1e-5, 1e-3], "lora": [1e-4, 1e-2]}}
    with pytest.raises(MissingRunError, match=r"repdrift tune --task mine --method lora"):
        train_runs(inputs(tune=two), [RunId("mine", "lora", 1)])
    (choice,) = tune(inputs(tune=two), methods=["lora"])
    assert not list(tmp_path.glob("results/**/*.safetensors"))
    assert [t.n_train + t.n_held_out for t in choice.trials] == [40, 40]
    assert all(t.steps == 4 and t.outcome == "finished" for t in choice.trials)
    run = RunId("mine", "lora", 1)
    assert not study_status(inputs(tune=two).config)[1].trained
    (trained,) = train_runs(inputs(tune=two), [run])
    assert trained.record.hyperparameters["learning_rate"] == choice.learning_rate
    assert trained.record.n_train == 40
    assert find_run(inputs(tune=two), run).folder == trained.folder
    assert study_status(inputs(tune=two).config)[1].trained
    # the same rate, fixed in the study, is the same run
    fixed = inputs(tune=False, training={"learning_rate": choice.learning_rate})
    assert find_run(fixed, run).folder == trained.folder
    shutil.rmtree(tmp_path / "results/tuning")
    with pytest.raises(MissingRunError, match="is to be tuned"):
        find_run(inputs(tune=two), run)


def test_a_choice_made_on_other_rows_or_with_other_settings_is_not_taken(inputs, scored_by, tmp_path):
    scored_by(lambda _: 0.5)
    tune(inputs(), methods=["lora"])
    assert inputs().learning_rate("mine", "lora") == 1e-4
    for other in (
        {"training": {"epochs": 2}}, {"tune": {"learning_rates": RATES, "held_out": 0.3}},
        {"tune": {"learning_rates": RATES, "seed": 5}}, {"tune": {"learning_rates": {"lora": [1e-4, 2e-3, 1e-2]}}},
        {"seeds": [90_001]},
    ):  # fmt: skip
        assert inputs(**other).choice("mine", "lora") is None, other
    write_rows(tmp_path / "train.csv", 1, 40)
    assert inputs().choice("mine", "lora") is None


def test_too_few_rows_are_said_before_the_first_trial(inputs, scored_by, tmp_path):
    jobs = scored_by(lambda _: 0.5)
    write_rows(tmp_path / "train.csv", 0, 12)
    with pytest.raises(DataError, match="at least 4 of each are needed"):
        tune(inputs())
    assert not jobs


def test_cautions_name_a_study_without_tuning_an_edge_and_a_choice_that_is_not_made(inputs, scored_by):
    untuned = tuning_of(inputs(tune=False, training={"learning_rate": 2e-3}).config)
    assert not untuned.tuned
    assert "were not tuned: each method was trained at a rate that was fixed" in untuned.cautions[0]
    assert "full fine-tuning 0.002 and LoRA 0.002" in untuned.methods_text
    assert untuned.fixed_rates == {"mine": {"full_finetune": 2e-3, "lora": 2e-3}}
    scored_by(lambda job: 1.0 if rate_of(job) == 1e-3 else 0.5)
    tune(inputs(), methods=["full_finetune"])
    half = tuning_of(inputs().config)
    assert not half.tuned
    assert "No learning rate was chosen yet for LoRA on mine" in half.cautions[0]
    assert half.cautions[1].startswith("The best learning rate of full fine-tuning on mine (0.001) is the highest")
    tune(inputs(), methods=["lora"])
    done = tuning_of(inputs().config)
    assert done.tuned
    assert len(done.cautions) == 1
    assert "from 3 trials (a grid), equally many for every method" in done.methods_text
    assert "Chosen rates: mine: full fine-tuning 0.001 and LoRA 0.001." in done.methods_text


def test_optuna_goes_on_after_a_kill_with_the_rates_of_a_search_that_was_not_stopped(inputs, scored_by, tmp_path):
    asked = {"sampler": "optuna", "trials": 5, "learning_rates": {"lora": [1e-4, 1e-1]}}

    def share(job):
        return 1 - min(abs(np.log10(rate_of(job)) + 2), 1)

    jobs = scored_by(share)
    (whole,) = tune(inputs(tune=asked), methods=["lora"])
    rates = [rate_of(job) for job in jobs]
    assert len(set(rates)) == 5
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    folder = tuning_folder(inputs().config, "mine", "lora")
    for path in folder.glob("*.json"):
        path.unlink()
    kept = {json.loads(path.read_text())["learning_rate"]: path for path in (folder / "trials").iterdir()}
    for rate in rates[2:]:
        kept[rate].unlink()
    jobs.clear()
    (again,) = tune(inputs(tune=asked), methods=["lora"])
    assert [rate_of(job) for job in jobs] == rates[2:]
    assert again.learning_rate == whole.learning_rate


def test_pruning_stops_trials_below_the_median_and_never_chooses_one(inputs, scored_by):
    along = {1e-4: 0.75, 1e-3: 1.0, 1e-2: 0.0}
    scored_by(lambda job: dict.fromkeys(range(1, 9), along[rate_of(job)]))
    (choice,) = tune(inputs(tune={"learning_rates": RATES, "pruning": True}), methods=["lora"])
    assert [t.outcome for t in choice.trials] == ["finished", "finished", "stopped"]
    assert (choice.trials[2].steps, choice.trials[2].score) == (2, None)
    assert choice.learning_rate == 1e-3
    assert (
        "Optuna's median pruner"
        in tuning_of(inputs(tune={"learning_rates": RATES, "pruning": True}).config).methods_text
    )


def test_without_optuna_its_sampler_is_refused_before_the_first_trial(inputs, scored_by, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    jobs = scored_by(lambda _: 0.5)
    with pytest.raises(ConfigError, match=r"pip install 'repdrift\[tune\]'"):
        tune(inputs(tune={"sampler": "optuna"}))
    assert not jobs
    assert RateSearch(inputs().config.tune, [1e-4, 1e-3, 1e-2], 1).open_rates([]) == [1e-4, 1e-3, 1e-2]


def test_a_set_of_a_model_that_was_trained_at_another_rate_is_named(inputs, monkeypatch):
    (trained,) = train_runs(inputs(tune=False, training={"learning_rate": 1e-3}), [RunId("mine", "lora", 1)])
    metadata = SimpleNamespace(weights_digest=trained.record.weights_digest)
    monkeypatch.setattr("repdrift.study.tuning_report.open_set", lambda _: SimpleNamespace(metadata=metadata))
    same = tuning_of(inputs(tune=False, training={"learning_rate": 1e-3}).config)
    other = tuning_of(inputs(tune=False, training={"learning_rate": 2e-3}).config)
    assert not any("another learning rate" in caution for caution in same.cautions)
    assert other.cautions[0].startswith(
        "mine, lora, seed 1 (0.001 instead of 0.002): trained at another learning rate than the study has now."
    )


def test_models_of_one_method_at_different_rates_are_not_analysed_together(inputs, monkeypatch):
    two = inputs(tune=False, seeds=[1, 2]).config
    records = {
        RunId("mine", "lora", seed): SimpleNamespace(
            task="mine", method="lora", seed=seed, weights_digest=f"w{seed}", hyperparameters={"learning_rate": rate}
        )
        for seed, rate in ((1, 1e-3), (2, 2e-3))
    }
    monkeypatch.setattr(
        "repdrift.study.tuning_report.finished_runs", lambda _: [SimpleNamespace(record=r) for r in records.values()]
    )

    def opened(folder):
        return SimpleNamespace(metadata=SimpleNamespace(weights_digest=f"w{folder.parent.name[-1]}"))

    monkeypatch.setattr("repdrift.study.tuning_report.open_set", opened)
    with pytest.raises(SampleSetMismatchError, match=r"seed 1 at 0\.001 and seed 2 at 0\.002"):
        drift_plan(two, "s.yaml")
    records[RunId("mine", "lora", 2)].hyperparameters["learning_rate"] = 1e-3
    assert drift_plan(two, "s.yaml").tuning is not None


def test_a_trial_file_that_was_put_in_the_place_of_another_is_not_taken(inputs, scored_by):
    jobs = scored_by(lambda _: 0.5)
    tune(inputs(), methods=["lora"])
    folder = tuning_folder(inputs().config, "mine", "lora")
    first, second, _ = sorted((folder / "trials").iterdir())
    shutil.copy(first, second)
    edit_record(next(folder.glob("*.json")), lambda content: content.update(held_out=0.5))
    tune(inputs(), methods=["lora"])
    assert len(jobs) == 4
