"""Where two configurations differ."""

from repdrift.study.configuration_differences import field_differences


def test_differences_are_named_by_their_dotted_paths():
    before = {"a": 1, "b": {"c": [1, 2], "my.task": {"x": 1}}, "d": None, "same": [1]}
    now = {"a": 2, "b": {"c": [1, 3], "my.task": {"x": 2}}, "d": {"e": 5}, "new": 1, "same": [1]}
    assert [str(each) for each in field_differences(before, now)] == [
        "a 1 -> 2", "b.c.1 2 -> 3", 'b."my.task".x 1 -> 2', "d.e null -> 5", "new null -> 1",
    ]  # fmt: skip


def test_lists_of_other_lengths_and_values_of_other_kinds_differ_whole():
    assert [str(each) for each in field_differences({"a": [1], "b": {"c": 1}}, {"a": [1, 2], "b": 3})] == [
        "a [1] -> [1, 2]", "b {'c': 1} -> 3",
    ]  # fmt: skip
    assert field_differences({"a": [{"b": 1}]}, {"a": [{"b": 1}]}) == []
