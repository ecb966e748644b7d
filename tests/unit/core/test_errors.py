from repdrift.core.errors import UnknownNameError, nearest_name


def test_unknown_name_suggests_the_nearest():
    message = str(UnknownNameError.of("task", "sst_2", ["mrpc", "sst2"]))
    assert "Did you mean 'sst2'?" in message
    assert "mrpc" in message


def test_no_name_is_suggested_that_is_not_near():
    assert nearest_name("sst_2", ["mrpc", "sst2"]) == "sst2"
    assert nearest_name("zzz", ["mrpc", "sst2"]) is None
