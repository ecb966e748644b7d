"""Memory of an analysis: what is kept at once, what is said before it runs out, and that no table n x n is made unasked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from repdrift.core.errors import InsufficientMemoryError
from repdrift.drift import memory_need
from repdrift.drift.memory_need import LayerSize, PreparedModels, require_memory
from repdrift.similarity import measure, measures

ROWS = 1500
KENDALL = {
    "rsa_euclidean_kendall",
    "rsa_correlation_kendall",
}  # of scipy, and slow; their tables are those of Spearman's


class _Largest(TorchDispatchMode):
    """Notes the largest tensor that an operation gives."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for part in found if isinstance(found, tuple | list) else [found]:
            if isinstance(part, torch.Tensor):
                self.numbers = max(self.numbers, part.untyped_storage().nbytes() // part.element_size())
        return found


@pytest.mark.parametrize("name", sorted(set(measures("representations")) - KENDALL))
def test_only_a_pairwise_measure_makes_a_table_of_all_pairs(name):
    g = np.random.default_rng(0)
    x = g.normal(size=(ROWS, 4)).astype(np.float32)
    m = measure(name)
    with _Largest() as seen:
        m.compare(m.prepare(x), m.prepare(x + 0.1 * g.normal(size=x.shape).astype(np.float32)))
    assert (seen.numbers >= ROWS * (ROWS - 1) // 2) == m.pairwise


def test_models_are_prepared_once_if_they_fit_and_kept_as_many_as_allowed_otherwise():
    made = []
    models = PreparedModels(lambda index: made.append(index) or index, 4, most=2)
    assert list(models) == [0, 1, 2, 3]
    assert [models[index] for index in (2, 3, 2, 0, 2, 3)] == [2, 3, 2, 0, 2, 3]
    assert made == [0, 1, 2, 3, 0, 3]
    made.clear()
    everything = PreparedModels(lambda index: made.append(index) or index, 4, most=4)
    assert [*everything, *everything] == [0, 1, 2, 3] * 2
    assert made == [0, 1, 2, 3]


def test_too_little_memory_is_said_before_it_is_taken(monkeypatch):
    size = LayerSize(sets=10, rows=10_000, features=32, replicates=0)
    need = size.needed_bytes(["cka", "mutual_knn"])
    assert need > 70 * size.needed_bytes(["cka", "cosine"])
    monkeypatch.setattr(memory_need, "available_memory_bytes", lambda: need - 1)
    require_memory(size, ["cka", "cosine"], "task 'a'")
    with pytest.raises(InsufficientMemoryError, match=r"task 'a': .*10,000 rows .* GB are free. Leave out mutual_knn,"):
        require_memory(size, ["cka", "mutual_knn"], "task 'a'")
    monkeypatch.setattr(memory_need, "available_memory_bytes", lambda: 1000)
    drawn = LayerSize(sets=10, rows=5_000, features=32, replicates=10_000)
    with pytest.raises(InsufficientMemoryError, match=r"Extract fewer samples, or take no resamples \(`replicates: 0`"):
        require_memory(drawn, ["cka"], "task 'a'")
    monkeypatch.setattr(memory_need, "available_memory_bytes", lambda: None)
    require_memory(drawn, ["cka"], "task 'a'")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_the_analysis_stays_below_the_documented_bound(tmp_path):
    rows, replicates = 2200, 400
    script = f"""
from pathlib import Path
import re
from benchmarks.analysis.synthetic_study import Size, write_study
from repdrift.drift import analyze
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
folder = Path({str(tmp_path)!r})
plan = write_study(folder, Size(tasks=1, seeds=2, layers=1, samples={rows}, features=16, replicates={replicates}))
before = peak()
analyze(plan, folder / "analysis")
print(peak() - before)
"""
    root = Path(__file__).resolve().parents[3]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    need = LayerSize(6, rows, 16, replicates).needed_bytes(["cka"])
    slack = 120 << 20  # what is imported and buffered beside the arrays
    assert int(found.stdout.split()[-1]) < need + slack
    assert need + slack < 40 * 8 * rows**2  # the former code took 50 n^2 numbers of 8 bytes and more
