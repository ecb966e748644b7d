"""The words for a processor: what the system says of it, and nothing where it says nothing."""

import torch

from repdrift.training.processor import processor_words

CPU = """processor\t: 0
cpu family\t: 6
model\t\t: 143
model name\t: Some Processor @ 2.0GHz
stepping\t: 8

processor\t: 1
model name\t: another one
"""


def test_the_first_processor_is_named_with_what_kernels_go_by(tmp_path):
    (tmp_path / "cpuinfo").write_text(CPU)
    for index, level, size in ((0, 1, "48K"), (2, 2, "2048K"), (3, 3, "105M")):
        folder = tmp_path / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    words = processor_words(torch.device("cpu"), tmp_path / "cpuinfo", tmp_path / "cache")
    kernels = torch.backends.cpu.get_cpu_capability()
    assert words == f"Some Processor @ 2.0GHz (cpu family 6, model 143, stepping 8, {kernels}, second cache 2048K)"


def test_a_system_that_says_nothing_gives_the_machine(tmp_path):
    words = processor_words(torch.device("cpu"), tmp_path / "none", tmp_path / "none")
    assert words.endswith(f"({torch.backends.cpu.get_cpu_capability()})")
    assert len(words) > len(torch.backends.cpu.get_cpu_capability()) + 3


def test_another_kind_of_device_is_named_by_its_kind():
    assert processor_words(torch.device("meta")) == "meta"
