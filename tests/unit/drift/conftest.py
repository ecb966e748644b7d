import copy
import shutil

import pytest

from tests.unit.drift.study_on_disk import Study


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory):
    """A study on disk that no test may change."""
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def study(whole_study, tmp_path):
    """A copy of the study, to be damaged."""
    shutil.copytree(whole_study.root, tmp_path, dirs_exist_ok=True)
    own = copy.copy(whole_study)
    own.root = tmp_path
    return own
