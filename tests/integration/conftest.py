"""The finished study of the tests that damage files: they copy it first."""

import pytest

from tests.integration.damaged_study import Finished, make_study


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_bert, tiny_data) -> Finished:
    """A tiny study that ran through, in batches small enough for several in each set. Nobody may write to its folder."""
    return make_study(tmp_path_factory.mktemp("study"), tiny_bert, tiny_data, extraction="{token_budget: 40}")
