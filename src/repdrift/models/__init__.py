"""Models: their files, loading them with and without adapters, their depth and width, and their blocks."""

from repdrift.models.adapter_files import adapter_config, has_lora_matrices, reason_against_sharing
from repdrift.models.adapters import AdaptedBase, AdaptersDoNotFitError, load_adapted, load_adapters
from repdrift.models.backbone import (
    Stack,
    backbone_of,
    decoder_inputs,
    execution_device,
    headless,
    uncompiled,
    unwrapped,
)
from repdrift.models.block_search import find_blocks
from repdrift.models.blocks import Blocks, is_linear
from repdrift.models.causality import is_causal_decoder
from repdrift.models.checkpoint import DTYPES
from repdrift.models.configuration import load_config
from repdrift.models.dimensions import ASSUMED_WIDTH, depth_of, inner_width_of, width_of
from repdrift.models.gguf_file import read_gguf_header
from repdrift.models.json_object import read_json_object
from repdrift.models.learned_prompt import LearnedPrompt, learned_prompt_of
from repdrift.models.loading import (
    load_backbone,
    load_task_model,
    load_tokenizer,
    load_tuned_backbone,
    save_model,
)
from repdrift.models.lone_adapter import load_adapter_alone, require_repeatable
from repdrift.models.model_files import (
    Kind,
    ModelSource,
    model_on_this_machine,
    resolve_model,
    weight_files,
    weights_digest_of,
)
from repdrift.models.model_settings import changed_files, settings_digests, tokenizer_digests
from repdrift.models.positions import (
    embedding_rows,
    length_limit,
    length_limit_of_config,
    position_rows,
    token_type_rows,
)
from repdrift.models.prompt_adapter import is_learned_prompt, load_prompted, prompt_note
from repdrift.models.setting_differences import setting_differences
from repdrift.models.skeleton import backbone_skeleton, task_skeleton
from repdrift.models.source_notes import source_notes
from repdrift.models.third_party import loader_errors, quiet_transformers, running_errors

__all__ = [
    "ASSUMED_WIDTH",
    "DTYPES",
    "AdaptedBase",
    "AdaptersDoNotFitError",
    "Blocks",
    "Kind",
    "LearnedPrompt",
    "ModelSource",
    "Stack",
    "adapter_config",
    "backbone_of",
    "backbone_skeleton",
    "changed_files",
    "decoder_inputs",
    "depth_of",
    "embedding_rows",
    "execution_device",
    "find_blocks",
    "has_lora_matrices",
    "headless",
    "inner_width_of",
    "is_causal_decoder",
    "is_learned_prompt",
    "is_linear",
    "learned_prompt_of",
    "length_limit",
    "length_limit_of_config",
    "load_adapted",
    "load_adapter_alone",
    "load_adapters",
    "load_backbone",
    "load_config",
    "load_prompted",
    "load_task_model",
    "load_tokenizer",
    "load_tuned_backbone",
    "loader_errors",
    "model_on_this_machine",
    "position_rows",
    "prompt_note",
    "quiet_transformers",
    "read_gguf_header",
    "read_json_object",
    "reason_against_sharing",
    "require_repeatable",
    "resolve_model",
    "running_errors",
    "save_model",
    "setting_differences",
    "settings_digests",
    "source_notes",
    "task_skeleton",
    "token_type_rows",
    "tokenizer_digests",
    "uncompiled",
    "unwrapped",
    "weight_files",
    "weights_digest_of",
    "width_of",
]
