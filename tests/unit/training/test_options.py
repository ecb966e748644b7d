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
