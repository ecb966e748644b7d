"""Models that were saved in 4 bits by bitsandbytes: they are run as stored, or refused in words."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel, BitsAndBytesConfig

from repdrift.core.errors import ModelError
from repdrift.models import load_tuned_backbone, resolve_model
from tests.tiny_models import save_llama

pytest.importorskip("bitsandbytes")

NF4 = np.array(
    [-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0.0, 0.0795803, 0.1609302, 0.2461123,
     0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
)  # fmt: skip
"""Dettmers et al. 2023, appendix E."""
IDS = torch.arange(8, 20).repeat(2, 1)


def _quantised(folder, width, **options):
    base = save_llama(folder / "base", width=width)
    asked = BitsAndBytesConfig(**{"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", **options})
    AutoModel.from_pretrained(base, quantization_config=asked, device_map="cpu", dtype=torch.float32).save_pretrained(
        folder / "quantised"
    )
    return folder / "quantised"


def _rounded(weight):
    """Each group of 64 numbers over its largest size, to the nearest place of the table."""
    groups = weight.double().numpy().reshape(-1, 64)
    scale = np.abs(groups).max(axis=1, keepdims=True)
    places = np.abs(groups[..., None] / scale[..., None] - NF4).argmin(-1)
    return torch.tensor((NF4[places] * scale).reshape(weight.shape), dtype=torch.float32)


def _off(found, base):
    """How far the states of `found` lie from those of the model at `base` with weights that are rounded by definition, relative to these."""
    expected = load_tuned_backbone(resolve_model(str(base)))
    for name, weight in expected.named_parameters():
        if weight.ndim == 2 and "layers" in name:
            weight.data = _rounded(weight.data)
    ours, theirs = (model.eval()(input_ids=IDS).last_hidden_state.detach() for model in (found, expected))
    return float((ours - theirs).norm() / theirs.norm())


def test_it_runs_with_the_weights_that_the_format_defines(tmp_path):
    """On some processors bitsandbytes would repack the weights and round every input to bfloat16 (an error of 0.3 %)."""
    found = load_tuned_backbone(resolve_model(str(_quantised(tmp_path, 64))))
    assert _off(found, tmp_path / "base") < 1e-5


@pytest.mark.usefixtures("wrong_four_bits")
def test_weights_that_the_library_brings_back_wrongly_are_refused(tmp_path):
    with pytest.raises(ModelError, match="does not bring back a 4-bit weight .* saved dequantised"):
        load_tuned_backbone(resolve_model(str(_quantised(tmp_path, 32))))


def test_rows_that_end_inside_of_a_group_are_right_or_refused_on_this_processor(tmp_path):
    """bitsandbytes 0.50 brings them back wrongly with AVX-512, and rightly with AVX2."""
    try:
        found = load_tuned_backbone(resolve_model(str(_quantised(tmp_path, 32))))
    except ModelError as error:
        assert "does not bring back a 4-bit weight" in str(error)  # noqa: PT017  either is right, and which one the processor says
    else:
        assert _off(found, tmp_path / "base") < 1e-5


@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_ordinary_weights_beside_a_configuration_of_quantised_ones_are_refused(bits, tuned_bert, tmp_path):
    shutil.copytree(tuned_bert, tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", bits: True}
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"quantised \(bitsandbytes\)"):
        load_tuned_backbone(resolve_model(str(tmp_path / "m")))
