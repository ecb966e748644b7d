"""A model before its weights are loaded: its architecture on the meta device, which has shapes and takes no memory."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.models.causality import require_language_model
from repdrift.models.third_party import quiet_transformers

_HEADS = {"classification": "sequence classification", "extractive_qa": "question answering"}


def backbone_skeleton(config: Any) -> nn.Module | None:
    """The model of a configuration without its head and without weights; None if it cannot be built so.

    Loading the model then fails with a reason of its own, or works all the same.
    """
    from transformers import AutoModel

    try:
        return _built(AutoModel, config)
    except Exception:  # a class that is not known or cannot be built without weights
        return None


def task_skeleton(config: Any, task_kind: str, *, num_labels: int | None = None) -> nn.Module | None:
    """The model with a head for `task_kind`, without weights; None if it cannot be built so. Arguments: see load_task_model().

    Raises ModelError if transformers has no such head for this kind of model.
    """
    from transformers import AutoModelForCausalLM, AutoModelForQuestionAnswering, AutoModelForSequenceClassification

    if task_kind == "causal_lm":
        require_language_model(config, "the base model")
        auto_class = AutoModelForCausalLM
    else:
        auto_class = (
            AutoModelForSequenceClassification if task_kind == "classification" else AutoModelForQuestionAnswering
        )
    if type(config) not in auto_class._model_mapping:  # what from_pretrained goes by
        raise ModelError(
            f"models of type {config.model_type!r} cannot be trained for {_HEADS[task_kind]}: transformers has no such head for them. "
            "Take another base model, or tasks of another kind."
        )
    try:
        return _built(auto_class, config, num_labels)
    except Exception:  # a class that cannot be built without weights
        return None


def _built(auto_class: Any, config: Any, num_labels: int | None = None) -> nn.Module:
    config = copy.deepcopy(config)
    if num_labels is not None:
        config.num_labels = num_labels
    with quiet_transformers(), torch.device("meta"):
        return auto_class.from_config(config, trust_remote_code=False)
