"""Sentences on a model's files that change how its numbers are to be read, known before its weights are loaded."""

from __future__ import annotations

from repdrift.core.errors import RepdriftError
from repdrift.core.reading import stands_there
from repdrift.core.records.quantised_base import measured_on_full_base
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.models.checkpoint import wrapper_parts
from repdrift.models.configuration import configuration_notes
from repdrift.models.gguf_file import CHECKED_ARCHITECTURES, read_gguf_header
from repdrift.models.model_files import ModelSource


def source_notes(source: ModelSource) -> list[str]:
    """Whole sentences without the model's name. Raises ModelError if the files cannot be read."""
    notes = [source.choice] if source.choice else []
    if source.gguf_file:
        header = read_gguf_header(source.path / source.gguf_file)
        if header.is_quantised:
            notes.append(
                f"Its weights come from a GGUF file in {header.precision}, dequantised on loading: the rounding of that precision "
                "is part of its drift from any other file."
            )
        if header.architecture not in CHECKED_ARCHITECTURES:
            notes.append(
                f"It was read from a GGUF file of architecture {header.architecture!r}, for which nobody checked here that transformers "
                f"reads every setting ({', '.join(CHECKED_ARCHITECTURES)} were). Give it as safetensors to be sure."
            )
        return notes
    if source.is_adapter:
        return notes + _quantised_base_notes(source)
    notes += configuration_notes(source)
    parts = wrapper_parts(source)
    if parts:
        notes.append(
            f"The names of its tensors held {', '.join(map(repr, parts))}, as wrapping or compiling a model puts there; it was taken off."
        )
    return notes


def _quantised_base_notes(source: ModelSource) -> list[str]:
    """Says so if an adapter lies in a run of ours that trained it on a base model in few bits; nothing else tells of that."""
    for folder in (source.path.parent, source.path.parent.parent):  # the final model, or a checkpoint
        path = folder / RUN_FILE
        if not stands_there(path):
            continue
        try:
            record = RunRecord.read(path)
        except RepdriftError:
            return []  # no part of the adapter
        here = f"{source.path.relative_to(folder).as_posix()}/"
        if record.tuning is None or not any(name.startswith(here) for name in record.files):
            return []
        quantised = record.tuning.quantised_base
        return [] if quantised is None else [f"Its run {measured_on_full_base(quantised.rounding)}"]
    return []
