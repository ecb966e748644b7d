"""The `tune:` section: which rates every arm tries, and what is refused."""

import pytest

from repdrift.core.errors import ConfigError
from repdrift.study.config import parse_study
from repdrift.study.tune_section import TuneSection
from tests.unit.study.test_config import MINIMAL


def study(tune, **rest):
    return parse_study({**MINIMAL, "tasks": ["sst2"], "tune": tune, **rest}, where="x")


def section_of(tune):
    section = study(tune).tune
    assert section is not None
    return section


def test_usual_grid_has_equally_many_rates_a_decade_wide_for_every_kind_and_ten_times_higher_for_lora():
    section = section_of({})
    full, lora = section.rates("full_finetune", (1e-5, 1e-4)), section.rates("lora", (1e-4, 1e-3))
    assert full == [1e-5, 1.78e-5, 3.16e-5, 5.62e-5, 1e-4]
    assert lora == pytest.approx([10 * rate for rate in full])
    assert section.n_trials == 5


def test_rates_of_an_arm_set_the_number_of_trials_of_all():
    section = section_of({"learning_rates": {"lora": [1e-2, 1e-3, 1e-4]}})
    assert section.rates("lora", (1.0, 2.0)) == [1e-4, 1e-3, 1e-2]
    assert len(section.rates("full_finetune", (1e-5, 1e-4))) == section.n_trials == 3


def test_a_task_may_have_rates_of_its_own_and_as_many_trials_for_every_arm():
    section = section_of(
        {
            "learning_rates": {"lora": [1e-4, 1e-3, 1e-2]},
            "tasks": {"sst2": {"learning_rates": {"full_finetune": [1e-5, 3e-5]}}},
        }
    )
    own, other = section.of_task("sst2"), section.of_task("mrpc")
    assert (own.n_trials, other.n_trials) == (2, 3)
    assert own.rates("full_finetune", (1.0, 2.0)) == [1e-5, 3e-5]
    assert own.rates("lora", (1e-4, 1e-3)) == [1e-4, 1e-3]  # its kind's usual ones: those of other tasks do not count
    assert other.rates("lora", (1.0, 2.0)) == [1e-4, 1e-3, 1e-2]
    assert own.of_task("sst2") == own


def test_trials_of_a_task_alone_take_the_usual_rates():
    section = section_of({"trials": 4, "tasks": {"sst2": {"trials": 2}}})
    assert section.of_task("sst2").rates("lora", (1e-4, 1e-3)) == [1e-4, 1e-3]
    assert section.of_task("rte").n_trials == 4
    assert (
        section_of({"learning_rates": {"lora": [1e-4, 1e-3, 1e-2]}, "tasks": {"sst2": {}}}).of_task("sst2").n_trials
        == 3
    )
    optuna = section_of(
        {"sampler": "optuna", "trials": 4, "tasks": {"sst2": {"learning_rates": {"lora": [1e-4, 1e-2]}}}}
    )
    assert optuna.of_task("sst2").n_trials == 4


@pytest.mark.parametrize("given", [None, True, {}])
def test_an_empty_section_asks_for_tuning(given):
    assert study(given).tune == TuneSection()


def test_a_study_without_the_section_and_one_that_says_false_are_not_tuned():
    assert study(False).tune is None
    assert parse_study(MINIMAL, where="x").tune is None


def test_trials_have_a_seed_that_the_study_does_not_have():
    assert TuneSection().trial_seed((90_001, 1)) == 90_002
    assert TuneSection(seed=7).trial_seed((1,)) == 7


@pytest.mark.parametrize(
    ("tune", "rest", "message"),
    [
        ({"learning_rates": {"lora": [1e-3]}}, {}, "1 rate leaves nothing to choose; give two at least"),
        ({"learning_rates": {"lora": []}}, {}, "0 rates leaves nothing to choose"),
        ({"learning_rates": {"lora": [1e-3, 1e-3]}}, {}, "a rate stands twice"),
        ({"learning_rates": {"lora": [1e-3, 11]}}, {}, "less than or equal to 10"),
        ({"learning_rates": {"lora": [0, 1e-3]}}, {}, "greater than 0"),
        ({"learning_rates": {"lora": [1e-3, float("inf")]}}, {}, "finite"),
        ({"learning_rates": {"loar": [1e-3, 1e-2]}}, {}, "method under tune.learning_rates 'loar'. Did you mean 'lora'"),
        ({"learning_rates": {"lora": [1e-3, 1e-2], "full_finetune": [1e-5, 2e-5, 3e-5]}}, {}, "every arm gets equally many trials"),
        ({"trials": 4, "learning_rates": {"lora": [1e-3, 1e-2]}}, {}, "2 rates, and trials says 4"),
        ({"tasks": {"sst2": {"trials": 4, "learning_rates": {"lora": [1e-3, 1e-2]}}}}, {}, "tasks.sst2: learning_rates.lora: 2 rates, and trials says 4"),
        ({"tasks": {"sst2": {"learning_rates": {"loar": [1e-3, 1e-2]}}}}, {}, "method under tune.tasks.sst2.learning_rates 'loar'. Did you mean 'lora'"),
        ({"tasks": {"sst1": {"trials": 2}}}, {}, "task under tune.tasks 'sst1'. Did you mean 'sst2'"),
        ({"tasks": {"sst2": {"learning_rates": {"lora": [1e-3]}}}}, {}, "1 rate leaves nothing to choose"),
        ({"trials": 1}, {}, "greater than or equal to 2"),
        ({"sampler": "optuna", "learning_rates": {"lora": [1e-4, 1e-3, 1e-2]}}, {}, "takes the two ends of a range"),
        ({"held_out": 1}, {}, "less than 1"),
        ({"seed": 1337}, {}, "1337 is a seed of the study"),
        ({"trails": 4}, {}, "did you mean 'trials'"),
        ({}, {"training": {"methods": {"lora": {"learning_rate": 1e-3}}}}, "training.methods.lora.learning_rate fixes a rate"),
        ({}, {"training": {"all": {"learning_rate": 1e-3}}}, "training.all.learning_rate fixes a rate"),
        ({}, {"training": {"tasks": {"sst2": {"learning_rate": 1e-3}}}}, "training.tasks.sst2.learning_rate fixes a rate"),
    ],
)  # fmt: skip
def test_faults_are_said(tune, rest, message):
    with pytest.raises(ConfigError) as caught:
        study(tune, **rest)
    assert message in str(caught.value)
