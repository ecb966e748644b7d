"""Words of a command that give fields their values."""

import pytest

from repdrift.core.option_names import MIB, option_name, option_words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pooling": "last"}, ["--pooling", "last"]),
        ({"layers": (0, 5)}, ["--layer", "0", "--layer", "5"]),
        ({"controls": False, "patch": True}, ["--no-controls", "--patch"]),
        ({"sections": ("grid", "samples")}, ["--with", "grid,samples"]),
        ({"sections": ()}, ["--with", "none"]),
        ({"memory_cap_bytes": 3 * MIB}, ["--memory-cap", "3"]),
        ({"samples": 0, "max_length": None}, ["--samples", "0"]),
        ({"text_column": []}, []),
    ],
)
def test_words_of_a_command(settings, words):
    assert option_words(settings) == words


def test_field_without_another_name_has_its_own():
    assert option_name("compute_dtype") == "--compute-dtype"
