"""What is left, and what is said, if a trained model cannot be saved."""

import errno
import shutil
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError
from torch import nn

from repdrift.core.errors import StorageError
from repdrift.training import finished_runs, train
from repdrift.training.saved_model import save_trained, weight_bytes
from tests.unit.training.test_training_run import _job, _weights

SAVE = "repdrift.training.saved_model.save_model"


def failing(error):
    """A save that fails half-way, with half a model on the disk."""

    def save(_model, _tokenizer, folder):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{")
        raise error

    return save


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("No space left on device (os error 28)"),  # as tokenizers say it
    ],
)
def test_a_disk_that_is_full_while_a_model_is_saved_is_said_and_nothing_is_left(
    error, tiny_bert, tiny_data, tmp_path, monkeypatch
):
    job = _job(tiny_bert, tiny_data)
    with monkeypatch.context() as patch:
        patch.setattr(SAVE, failing(error))
        with pytest.raises(StorageError) as caught:
            train(job, tmp_path)
    said = str(caught.value)
    assert said.startswith("sst2, full_finetune, seed 1: no space left for the trained model in ")
    assert "its weights take 36,104 bytes" in said
    assert "were free" in said
    assert [path.name for path in tmp_path.iterdir()] == [".claims"]
    assert not list((tmp_path / ".claims").iterdir())
    assert not list(finished_runs(tmp_path))


def test_a_run_is_trained_anew_to_the_same_weights_after_space_was_freed(tiny_bert, tiny_data, tmp_path, monkeypatch):
    job = _job(tiny_bert, tiny_data)
    undisturbed = train(job, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr(SAVE, failing(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(StorageError):
            train(job, tmp_path / "full")
    again = train(job, tmp_path / "full")
    assert again.trained_now
    assert again.record.weights_digest == undisturbed.record.weights_digest
    assert all((_weights(again)[name] == value).all() for name, value in _weights(undisturbed).items())


def test_too_little_space_is_said_before_the_disk_is_filled(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=39))
    monkeypatch.setattr(SAVE, failing(AssertionError("nothing is saved")))
    with pytest.raises(StorageError, match="weights take 40 bytes.* 39 were free"):
        save_trained(nn.Linear(9, 1), None, tmp_path / "model", "a run")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_another_refusal_names_the_folder(number, tmp_path, monkeypatch):
    monkeypatch.setattr(SAVE, failing(OSError(number, "refused", str(tmp_path / "model"))))
    with pytest.raises(StorageError, match=r"cannot write .*model: refused\. "):
        save_trained(nn.Linear(9, 1), None, tmp_path / "model", "a run")


def test_of_an_adapter_the_trained_weights_count():
    model = nn.Linear(9, 1)
    model.bias.requires_grad_(False)
    assert weight_bytes(model) == 40
    model.peft_config = {}  # pyright: ignore[reportArgumentType]
    assert weight_bytes(model) == 36
