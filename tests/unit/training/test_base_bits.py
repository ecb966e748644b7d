"""The choice of a 4-bit base model, where bitsandbytes need not be installed."""

import pytest
import torch
from pydantic import ValidationError

from repdrift.core.errors import MissingDependencyError
from repdrift.training.arms import Arm
from repdrift.training.options import TrainingOptions
from repdrift.training.played_layers import packed_bytes
from repdrift.training.quantised_layers import quantise_blocks
from repdrift.training.trainer_needs import require_available


def test_an_arm_without_it_keeps_its_key():
    assert Arm.of_kind("lora").for_key() == {
        "lora": {"rank": 8, "alpha": 16.0, "dropout": 0.05, "target_modules": "all-linear"}
    }
    assert Arm.of_kind("dora").for_key() == {
        "tuning": {
            "kind": "dora", "rank": 8, "alpha": 16.0, "dropout": 0.05, "target_modules": "all-linear", "rslora": False,
            "dora": True, "initialisation": "default",
        }
    }  # fmt: skip
    assert Arm.of_kind("lora", base_bits=4).for_key()["lora"]["base_bits"] == 4
    assert Arm.of_kind("dora", base_bits=4).for_key()["tuning"]["base_bits"] == 4
    other = Arm.of_kind("lora", base_bits=4, compute_dtype="bfloat16")
    assert other.for_key() != Arm.of_kind("lora", base_bits=4).for_key()
    assert other.tuning.identity(other.options) != Arm.of_kind("lora").tuning.identity(Arm.of_kind("lora").options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_bits": 8}, "base_bits"),
        ({"double_quantisation": False}, "double_quantisation is for a base model in 4 bits: set base_bits: 4"),
        ({"compute_dtype": "bfloat16"}, "compute_dtype is for a base model in 4 bits"),
        ({"base_bits": 4, "initialisation": "pissa"}, "does not go with initialisation 'pissa'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        Arm.of_kind("lora", **options)


def test_missing_package_is_said_before_training(monkeypatch):
    arm = Arm.of_kind("lora", base_bits=4)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    said = r"base_bits: 4 needs the package 'bitsandbytes': pip install 'repdrift\[qlora\]'"
    with pytest.raises(MissingDependencyError, match=said):
        require_available(TrainingOptions(), arm)
    require_available(TrainingOptions(), Arm.of_kind("lora"))
    with pytest.raises(MissingDependencyError, match=said):
        quantise_blocks(torch.nn.Linear(2, 2), double=True, compute_dtype="float32")


def test_bytes_of_a_packed_weight():
    # 64 x 64 numbers: 2048 bytes, 64 scales; a table of 16 float32
    assert packed_bytes(4096, double_quantisation=False) == 2048 + 64 * 4 + 64
    # scales in a byte each, one scale of these, a table of 256 float32 and the mean that was taken off
    assert packed_bytes(4096, double_quantisation=True) == 2048 + 64 + 4 + 1024 + 4 + 64
