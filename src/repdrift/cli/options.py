"""Options that several subcommands share, and the study that they describe.

Options such as --blocks are not here: `field_options` makes them from the fields of an options class.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repdrift.core.errors import ConfigError
from repdrift.core.option_names import option_name

if TYPE_CHECKING:  # study/ imports torch and transformers, and --help must not wait for them
    from repdrift.study.config import StudyConfig

THE_STUDYS = "the study's, or"
"""What the help of a study's command says before the default of an option."""

Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        help="Study file (YAML), or the name of a packaged study. Without it: $REPDRIFT_CONFIG, else the 24-layer study lora_vs_full.",
        show_default=False,
    ),
]
StudyFile = Annotated[
    str | None,
    typer.Argument(metavar="STUDY", help="Study file, as with --config.", show_default=False),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field of the study in place of its file, such as training.all.epochs=1 or 'seeds=[1,2]' (the value is YAML, tasks.0 is the first "
        "task). The option may be repeated.",
        show_default=False,
    ),
]
Task = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        "-t",
        help="Task, or `all`. The option may be repeated. Without it: every task of the study.",
        show_default=False,
    ),
]
Method = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        "-m",
        help="A method (arm) of the study, such as lora. The option may be repeated. Without it: every method.",
        show_default=False,
    ),
]
Seed = Annotated[
    list[int] | None,
    typer.Option(
        "--seed",
        "-s",
        help="Seed. The option may be repeated. Without it: every seed of the study.",
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", help="Another base model: folder, hub id or packaged:minilm.", show_default=False),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir",
        help="Folder with <task>/{train,validation}.parquet|jsonl|csv, or `sample` for the packaged texts. Without it: $REPDRIFT_DATA, then the hub.",
        show_default=False,
    ),
]
ResultsDir = Annotated[
    Path | None,
    typer.Option("--results-dir", help="Folder for runs and results.", show_default="the study's, or results"),
]
BaseDir = Annotated[
    Path | None,
    typer.Option(
        "--base-dir",
        help="Folder for the base model's representation sets.",
        show_default="the study's, or base_representations",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Your own task: a file of evaluation rows (csv, tsv, json, jsonl, parquet, Arrow), or the folder of a saved data set.",
        show_default=False,
    ),
]
TrainData = Annotated[
    Path | None, typer.Option("--train-data", help="Your own task: a file of training rows.", show_default=False)
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--text-column",
        help="Your own task: column of the text. Give it twice for a pair of texts.",
        show_default=False,
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Your own task: column of the class.", show_default=False)
]
IdColumn = Annotated[
    str | None, typer.Option("--id-column", help="Your own task: column of a unique id.", show_default=False)
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        help="Your own file: column that names the group of a row, such as its paragraph or speaker. Intervals over samples leave out whole groups.",
        show_default=False,
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        "--separator",
        help="What separates the columns of your csv file: a character, or `tab`.",
        show_default="found from the file",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Encoding of your text file, such as cp1252 or latin-1.",
        show_default="utf-8, or what its byte order mark says",
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line of your csv file names the columns; without one they are `column 1`, `column 2`, ...",
        show_default="found from the file",
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        help="Your own task: classification, extractive_qa or causal_lm, which has prompts and completions, or chats.",
        show_default="causal_lm with --prompt-column or --messages-column, else classification",
    ),
]
PromptColumn = Annotated[
    str | None,
    typer.Option(
        "--prompt-column", help="Your own task: column of the prompt that a model continues.", show_default=False
    ),
]
CompletionColumn = Annotated[
    str | None,
    typer.Option(
        "--completion-column", help="Your own task: column of what is to follow the prompt.", show_default=False
    ),
]
MessagesColumn = Annotated[
    str | None,
    typer.Option(
        "--messages-column",
        help="Your own task: column of whole chats, in place of prompts and completions.",
        show_default=False,
    ),
]


def study_from(
    config: str | None,
    *,
    study_file: str | None = None,
    overrides: Sequence[str] | None = None,
    model: str | None = None,
    data_dir: str | None = None,
    results_dir: Path | None = None,
    base_dir: Path | None = None,
) -> tuple[StudyConfig, str | None]:
    """Returns the study that the options describe, and the --config for messages, with its overrides (None for the default study).

    config: the study as --config names it. study_file: as its place on the command line does. Raises ConfigError if both are given, the study
    cannot be read, or a field is given twice.
    """
    from repdrift.study.config import (
        CONFIG_VARIABLE,
        DEFAULT_STUDY,
        load_study,
        packaged_studies,
        packaged_study,
    )
    from repdrift.study.given_study import given_study
    from repdrift.study.user_paths import user_path

    if study_file is not None and config is not None:
        raise ConfigError(f"the study is given twice, as {study_file!r} and as --config {config!r}; give one of them")
    config = config if study_file is None else study_file
    if config is not None and not config.strip():
        raise ConfigError("--config is empty; name a study file, or leave the option out for the default study")
    name = config or os.environ.get(CONFIG_VARIABLE)
    if name is not None and not name.strip():
        raise ConfigError(f"${CONFIG_VARIABLE} is empty; let it name a study file, or unset it for the default study")
    given = given_study(name or (DEFAULT_STUDY if overrides else None), overrides or ())
    if name is None:
        study = packaged_study(DEFAULT_STUDY, overrides or ())
    elif name in packaged_studies() and not Path(name).exists():
        study = packaged_study(name, overrides or ())
    else:
        study = load_study(name, overrides or ())
    # A shell fills in ~ at the beginning of a word, and not behind the = of --results-dir=~/here.
    try:
        changes = {
            "model": model,
            "data_dir": data_dir if data_dir is None else str(user_path(Path(data_dir))),
            "results_dir": results_dir if results_dir is None else user_path(results_dir),
            "base_dir": base_dir if base_dir is None else user_path(base_dir),
        }
    except ValueError as error:
        raise ConfigError(str(error)) from error
    changes = {k: v for k, v in changes.items() if v is not None}
    require_once(given, changes)
    return study.model_copy(update=changes), given


def require_once(config_path: str | None, fields: Iterable[str], section: str | None = None) -> None:
    """Raises ConfigError if a field that an option gives is set by --set too.

    fields: those that options give. section: the part of the study that they are in; None: its top.
    """
    from repdrift.study.given_study import overrides_of
    from repdrift.study.overrides import parse_overrides

    for field in fields:
        path = (field,) if section is None else (section, field)
        for override in parse_overrides(overrides_of(config_path)):
            if override.path[: len(path)] == path[: len(override.path)]:
                raise ConfigError(
                    f"{option_name(field)} and --set {override.text} give the same field; leave one of them out"
                )


FigureFormats = Annotated[
    str,
    typer.Option(
        "--format",
        help="Formats of figures: png (300 dots per inch), pdf and svg (both with text that can be edited), with commas between them.",
    ),
]
FigureWidth = Annotated[
    str,
    typer.Option(
        "--width",
        help="Width of figures: one-column or two-column on the printed page, where their text has 7 to 9 points.",
    ),
]
FigureVenue = Annotated[
    str,
    typer.Option(
        "--venue",
        help="Whose columns: acl (7.7 and 16.0 cm) or neurips (2.65 in, half of the text, and 5.5 in, all of it).",
    ),
]


def parts(names: str) -> list[str]:
    """The names between commas, without blanks; empty ones are left out."""
    return [name for part in names.split(",") if (name := part.strip())]
