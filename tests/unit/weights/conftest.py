import pytest
import torch

from repdrift.models import resolve_model
from tests.unit.weights.tuned_models import PATHS


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(params=PATHS)
def kind(request):
    return request.param


@pytest.fixture
def base(kind, request):
    return resolve_model(str(request.getfixturevalue(kind)))
