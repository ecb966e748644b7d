"""The number of tokens in a batch follows from memory, and lack of memory is told from other errors."""

from repdrift.batches.memory_budget import auto_token_budget, is_out_of_memory
from repdrift.models import load_backbone, resolve_model


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 40 bytes"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_budget_follows_the_memory_cap_and_the_models_width(tiny_bert):
    config = load_backbone(resolve_model(str(tiny_bert))).config
    config.hidden_size, config.intermediate_size = 2048, 8192
    small = auto_token_budget(config, itemsize=4, cap_bytes=64 << 20)
    large = auto_token_budget(config, itemsize=4, cap_bytes=512 << 20)
    assert 256 <= small < large
    assert small * 4 * (6 * 2048 + 3 * 8192) <= 64 << 20
    assert auto_token_budget(config, itemsize=4, cap_bytes=64 << 20, captured_bytes_per_token=200_000) < small
    assert auto_token_budget(object(), itemsize=4) == 4096
