import pytest
import torch
from threadpoolctl import threadpool_info

from repdrift.core.thread_limit import one_thread


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_small_work_has_one_thread_and_the_number_is_put_back(two_threads):
    with one_thread(small=True):
        assert torch.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), one_thread(small=True):
        _ = 1 / 0
    assert torch.get_num_threads() == 2


def test_large_work_keeps_its_threads(two_threads):
    with one_thread(small=False):
        assert torch.get_num_threads() == 2
