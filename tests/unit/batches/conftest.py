"""Samples of unlike length."""

import pytest
import torch

from repdrift.tasks import SampleSet, token_ids


@pytest.fixture(scope="package")
def samples():
    g = torch.Generator().manual_seed(0)
    lengths = (9, 4, 13, 2, 7, 13, 5, 5, 30, 8, 3, 11)
    rows = tuple(token_ids(torch.randint(4, 40, (length,), generator=g).tolist()) for length in lengths)
    return SampleSet("job", tuple(f"s{i}" for i in range(len(rows))), rows, None, 0, "random")
