"""Every `--option` that a message or a page names is one that the command at hand has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from repdrift.cli.field_options import field_options
from repdrift.cli.main import app
from repdrift.comparison.options import ComparisonOptions
from repdrift.extraction.options import ExtractionOptions
from repdrift.study.analysis_options import AnalysisOptions

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "repdrift"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]

COMMANDS = {
    name: {"--help", *(flag for p in command.params for flag in (*p.opts, *p.secondary_opts))}
    for name, command in typer.main.get_command(app).commands.items()  # pyright: ignore[reportAttributeAccessIssue]
}

# Who can print the messages of a room or of a single file; the longest entry that fits decides.
PRINTED_BY = {
    "comparison": "compare",
    "drift": "analyze run",
    "extraction": "extract run compare",
    "extraction/activation_store.py": "extract run",
    "extraction/layer_major.py": "extract run",
    "extraction/sample_major.py": "extract run",
    "extraction/schedules.py": "extract run",
    "extraction/set_extraction.py": "extract run",
    "extraction/single_block.py": "extract run",
    "models": "extract run compare",
    "models/lazy_model.py": "extract run",
    "models/lazy_adapter.py": "extract run",
    "models/checkpoint.py": "extract run",
    "models/checkpoint_weights.py": "extract run",
    "planning": "power",
    "report": "visualize run",
    "report/page/comparison": "compare",
    "report/glance": "run analyze compare",
    "report/tables": "table",
    "study": "tune train extract analyze run status",
    "study/runs.py": "train extract",  # it writes these two commands, whoever prints them
    "study/given_study.py": "train extract",  # as study/runs.py does
    "study/inputs.py": "tune",  # it writes this command
    "study/drift_plan.py": "extract",  # it writes this command
    "study/jobs": "run",
    "study/jobs/launchers/local_processes.py": "job",  # it writes this command
    "study/jobs/launchers/ray_cluster.py": "job",  # as local_processes.py does
    "study/jobs/job_command.py": "job",  # as local_processes.py does
    "tasks": "train extract run compare",
    "tasks/own_file.py": "compare",
    "tasks/sample_set.py": "extract run compare",  # training takes rows, and no sample set
    # These say too what to write in a study, which `run` reads.
    "tasks/csv_dialect.py": "compare train extract",
    "tasks/csv_header.py": "compare train extract",
    "tasks/delimited.py": "compare train extract",
    "tasks/text_files.py": "compare train extract",
    "training": "train run",
    **{f"cli/{name}.py": name for name in COMMANDS},
}

OPTION = re.compile(r"(?<![\w-])--[a-z](?:[a-z0-9-]*[a-z0-9])?(?![\w-])")
PHASE3_SCRIPTS = {
    "extract_representations.py": "extract",
    "vm1.sh": "extract",
    "vm2.sh": "extract",
    "analyze_drift.py": "analyze",
    "visualize_drift.py": "visualize",
}
OTHER_PROGRAMS = {
    "torchrun": {"--standalone", "--nproc-per-node"},
    "ray start": {"--head", "--port", "--address"},
    "pipx run": {"--spec"},
}
# A command of ours, one of our scripts or benchmarks, or another program; torchrun's own options come before `-m repdrift`.
PROGRAM = re.compile(
    r"\brepdrift (?P<command>[a-z]+)\b|(?P<script>(?:benchmarks|scripts|experiments)/[\w./]+)|\bpython -m (?P<module>studies\.\w+)|\btorchrun\b|\bray start\b|\bpipx run\b"
)


def named_options(text: str) -> Iterator[tuple[str, str | None]]:
    """Every option in a text, with the program before it in the text: a command, a script's path, `torchrun` or None."""
    for option in OPTION.finditer(text):
        before = list(PROGRAM.finditer(text, 0, option.start()))
        if not before:
            yield option[0], None
        else:
            last = before[-1]
            yield option[0], last["command"] or last["script"] or last["module"] or last[0]


def has(program: str | None, option: str) -> bool:
    """Whether a program has an option; without a program, whether any command has it."""
    if program is None:
        return option == "--version" or any(option in options for options in COMMANDS.values())
    if program in OTHER_PROGRAMS:
        return option in OTHER_PROGRAMS[program]
    if program in COMMANDS:
        return option in COMMANDS[program]
    if (command := PHASE3_SCRIPTS.get(Path(program).name)) is not None:
        return option in COMMANDS[command]
    file = f"{program.replace('.', '/')}/__main__.py" if program.startswith("studies.") else program
    return option in OPTION.findall((ROOT / file).read_text(encoding="utf-8"))


def passages(page: str) -> Iterator[str]:
    """Blocks of code, spans and indented lines of code, each for itself, and the text between."""
    code = re.compile(r"^```.*?^```$|`[^`]+`|^ {4,}[^\n]*$", re.MULTILINE | re.DOTALL)
    yield from (found[0] for found in code.finditer(page))
    yield code.sub(" ", page)


def texts(module: ast.Module) -> Iterator[tuple[str, bool]]:
    """Every string of a module, f-strings whole, and whether it is a docstring."""
    docstrings = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    inside = {id(part) for n in ast.walk(module) if isinstance(n, ast.JoinedStr) for part in n.values}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values), False
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value, id(node) in docstrings


def printed_by(file: str) -> list[str]:
    fitting = [entry for entry in PRINTED_BY if file == entry or file.startswith(f"{entry}/")]
    return PRINTED_BY[max(fitting, key=len)].split() if fitting else []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_in_a_page_are_those_of_the_command_beside_them(page):
    named = [found for text in passages(page.read_text(encoding="utf-8")) for found in named_options(text)]
    assert [(option, program) for option, program in named if not has(program, option)] == []


def test_options_in_a_message_are_those_of_every_command_that_prints_it():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        for text, is_docstring in texts(ast.parse(path.read_text(encoding="utf-8"))):
            for option, program in named_options(text):
                if program is not None or is_docstring or not printed_by(file):
                    absent = [] if has(program, option) else [program]
                else:
                    absent = [command for command in printed_by(file) if option not in COMMANDS[command]]
                if absent:
                    wrong.append(f"{file}: {option} is not an option of {absent}")
    assert wrong == [], "\n".join(wrong)


def test_rooms_and_files_that_print_are_there():
    assert [entry for entry in PRINTED_BY if not (PACKAGE / entry).exists()] == []


def test_named_options_are_read_with_their_program():
    text = "use --a; repdrift run STUDY --b, or torchrun --c -m repdrift extract --d; python benchmarks/x/run.py --e-f; python -m studies.account DIR --g"
    assert list(named_options(text)) == [
        ("--a", None),
        ("--b", "run"),
        ("--c", "torchrun"),
        ("--d", "extract"),
        ("--e-f", "benchmarks/x/run.py"),
        ("--g", "studies.account"),
    ]


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("extract", ExtractionOptions),
        ("run", ExtractionOptions),
        ("compare", ComparisonOptions),
        ("analyze", AnalysisOptions),
    ],
)
def test_a_command_has_every_option_of_its_model_and_each_is_described(command, model):
    options = field_options(model)
    assert {option.flag for option in options} <= COMMANDS[command]
    assert [option.field for option in options if not option.info.description] == []
