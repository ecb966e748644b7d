import pytest

from repdrift.training import TrainingOptions, TrainingOverrides, resolve_options


@pytest.mark.parametrize("quick", ["float32", "bfloat16"])
def test_precision_auto_is_resolved_and_recorded(monkeypatch, quick):
    monkeypatch.setattr("repdrift.training.options.quick_precision", lambda: quick)
    options = resolve_options(TrainingOverrides(precision="auto"))
    assert options.precision == quick
    assert options.for_key()["precision"] == quick
    assert TrainingOptions(precision="float32").precision == "float32"


def test_every_option_can_be_overridden():
    assert TrainingOverrides.model_fields.keys() == TrainingOptions.model_fields.keys() | {"lora"}


def test_later_overrides_win_and_what_is_not_set_is_inherited():
    options = resolve_options(TrainingOverrides(epochs=1, batch_size=8), None, TrainingOverrides(epochs=2))
    assert (options.epochs, options.batch_size) == (2, 8)
    assert options.learning_rate == TrainingOptions().learning_rate


def test_options_that_are_new_leave_the_keys_of_older_runs():
    older = {
        "epochs": 3.0, "learning_rate": 2e-05, "batch_size": 4, "gradient_accumulation_steps": 1, "weight_decay": 0.01,
        "warmup_ratio": 0.06, "scheduler": "linear", "max_length": None, "doc_stride": 128, "max_train_samples": None,
        "precision": "float32", "checkpoint_every": None,
    }  # fmt: skip
    assert TrainingOptions().for_key() == older
    same_weights = {"save_state_every": "3 steps", "report_to": ["wandb"], "gradient_checkpointing": True}
    assert TrainingOptions.model_validate(same_weights).for_key() == older
    for other in ({"optimizer": "adafactor"}, {"group_by_length": True}, {"compile": True}):
        assert TrainingOptions.model_validate(other).for_key() == older | other


@pytest.mark.parametrize(
    ("text", "steps", "minutes"), [("200 steps", 200, None), ("1 step", 1, None), ("15 min", None, 15), ("never", None, None)]
)  # fmt: skip
def test_intervals_of_saved_states(text, steps, minutes):
    interval = TrainingOptions(save_state_every=text).save_interval
    assert (interval.steps, interval.minutes) == (steps, minutes)


@pytest.mark.parametrize("text", ["0 steps", "15", "-1 min", "1.5 min", "steps 3", ""])
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="expected such as '200 steps'"):
        TrainingOptions(save_state_every=text)
