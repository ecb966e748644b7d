"""The files of a model: where they are looked for, and what is said if there are none."""

import pytest

from repdrift.core.errors import ModelError, UnknownNameError
from repdrift.models import resolve_model


def test_model_that_is_nowhere_is_one_readable_message(tmp_path):
    with pytest.raises(ModelError, match="neither a folder here nor a hub id"):
        resolve_model("./nowhere")
    with pytest.raises(
        ModelError, match=r"holds no model \(neither config.json nor adapter_config.json\): the folder is empty"
    ):
        resolve_model(str(tmp_path))
    with pytest.raises(ModelError, match="It could not be loaded from the Hugging Face hub"):
        resolve_model("nobody/nothing")
    with pytest.raises(UnknownNameError, match="Did you mean 'minilm'"):
        resolve_model("packaged:minilmm")
