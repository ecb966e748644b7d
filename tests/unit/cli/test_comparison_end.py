"""The end of `compare`: one screen; with --full everything before it stands in comparison.md too."""

import re

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.command_line import run_here
from tests.tiny_models import write_sentences

TITLES = ("drift from ", "outputs beside ", "share of ")
"""Beginnings of titles of tables, which the summary has as headings of its own."""


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_language_model):
    """A comparison of language models with everything on the screen: outputs, patching, sections, a model that is refused."""
    root = tmp_path_factory.mktemp("end")
    write_sentences(root / "texts.txt", 14)
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if ".layers.1." in name:
            weight.data += 0.05 * torch.randn_like(weight)
    model.save_pretrained(root / "tuned")
    command = f"python -m repdrift compare {tiny_language_model} tuned nowhere --data texts.txt --patch --no-page --output-dir out --full"
    return root, run_here(command, root, fails=True, COLUMNS="100").stdout


def test_the_screen_stands_last(done):
    _, said = done
    end = said[said.rindex("tuned against ") :].rstrip().splitlines()
    assert len(end) <= 25
    assert end[-1].startswith("more: ")
    assert any(line.startswith("mind: nowhere was not compared") for line in end)


def test_every_sentence_before_it_stands_in_the_summary(done):
    root, said = done
    summary = " ".join((root / "out/comparison.md").read_text(encoding="utf-8").replace("\\", "").split())
    whole = said[: said.rindex("tuned against ")]
    sentences = [
        re.sub(r"^(note|data|mind, [^:]+|outputs, [^:]+|left out|tuned): ", "", line.strip())
        for line in whole.splitlines()
        if re.match(r"^(note|data|mind, |outputs, |  \S|tuned: )", line) and not re.match(r"^\s+[\d|─━┃│┡╇]", line)
    ]
    sentences = [said for said in sentences if not said.startswith(TITLES)]
    assert len(sentences) > 12
    assert [said for said in sentences if said not in summary] == []
