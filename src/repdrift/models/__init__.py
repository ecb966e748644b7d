"""Models: where their files lie, how they are loaded, and where their blocks are."""

from repdrift.models.blocks import Blocks, find_blocks
from repdrift.models.loading import (
    DTYPES,
    adapter_base_name,
    backbone_of,
    load_adapted,
    load_backbone,
    load_task_model,
    load_tokenizer,
    save_model,
)
from repdrift.models.quiet import quiet_transformers
from repdrift.models.source import ModelSource, resolve_model, weight_files

__all__ = [
    "DTYPES",
    "Blocks",
    "ModelSource",
    "adapter_base_name",
    "backbone_of",
    "find_blocks",
    "load_adapted",
    "load_backbone",
    "load_task_model",
    "load_tokenizer",
    "quiet_transformers",
    "resolve_model",
    "save_model",
    "weight_files",
]
