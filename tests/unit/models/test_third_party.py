import pytest

from repdrift.models.third_party import first_line


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("thus raising an error. For details look at the above report!", "thus raising an error."),
        ("conversion of the weights. For details look at the `CONVERSION` entries of the above report!", "conversion of the weights."),
        ("one of:\n(1) a serialization file,\n(2) a slow tokenizer", "one of: (1) a serialization file"),
        ("For details look at the above report!", "ValueError"),
        ("plain\nsecond", "plain"),
    ],
)  # fmt: skip
def test_a_message_refers_to_nothing_that_is_not_shown(said, shown):
    assert first_line(ValueError(said)) == shown
