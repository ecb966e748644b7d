"""Samples of unlike length, and a writer that is interrupted."""

from contextlib import contextmanager

import pytest
import torch

from repdrift.stores import RepresentationSetWriter
from repdrift.tasks import SampleSet, token_ids

LENGTHS = (9, 4, 13, 2, 7, 13, 5, 5, 30, 8, 3, 11)


@pytest.fixture(scope="package")
def samples():
    g = torch.Generator().manual_seed(0)
    rows = tuple(token_ids(torch.randint(4, 40, (length,), generator=g).tolist()) for length in LENGTHS)
    return SampleSet("job", tuple(f"s{i}" for i in range(len(rows))), rows, None, 0, "random")


@pytest.fixture
def interrupted_after(monkeypatch):
    """A context in which the process is interrupted once so many batches have been written."""

    @contextmanager
    def interrupted(batches):
        write_batch = RepresentationSetWriter.write_batch
        calls = []

        def failing(self, number, rows, tensors, sites=None):
            calls.append(number)
            if len(calls) > batches:
                raise KeyboardInterrupt
            write_batch(self, number, rows, tensors, sites)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(RepresentationSetWriter, "write_batch", failing)
            yield

    return interrupted
