"""A finished study, a copy of it in which something is damaged, and what is wrong with the answers of the commands then."""

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from repdrift.core.records.what_moved import STUDY_SECTIONS
from tests.command_line import Done, run_here
from tests.integration.faults import obeying_modes

STUDY = """
name: tiny
model: model
data_dir: data
tasks: [sst2]
seeds: [1, 2]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, checkpoint_every: 2, learning_rate: 0.01}}
extraction: {extraction}
analysis: {{replicates: 400, equivalence_margin: 1.25}}
results_dir: results
base_dir: base_representations
"""
STAGES = ("train", "extract --checkpoint all", "evaluate", "analyze", "visualize")
DRIFT_ALONE = " ".join(f"--set analysis.{section}=false" for section in STUDY_SECTIONS if section != "weights")
"""For an analysis after the healing, of which the table of drift is looked at. The one that meets the damage measures every section."""
TABLE = "results/drift_analysis/drift.parquet"
OUTCOMES = "outcomes.parquet"
"""The table of outcomes, beside that of drift."""
RUNS = "results/phase3_representations"
BASE = "base_representations"
_POWER = "power results/drift_analysis"
_HANGS_AFTER_S = 120
_MOST_STEPS = 4
_KEY = ["task", "method", "seed", "step", "layer", "measure"]
_OUTCOME_KEY = ["task", "method", "seed", "step", "outcome", "inputs", "layer"]


@dataclass(frozen=True)
class Finished:
    """A study that ran through, and of each kind of file that it wrote the paths, relative to its folder."""

    root: Path
    table: pd.DataFrame
    outcomes: pd.DataFrame
    kinds: dict[str, list[str]]
    power: str
    """What `repdrift power` says of the results."""


def make_study(root: Path, model: Path, data: Path, *, extraction: str = "{}") -> Finished:
    """Run a tiny study in `root`, every stage but the drawing, with copies of its model and data.

    extraction: the options of that stage, in YAML.
    """
    (root / "study.yaml").write_text(STUDY.format(extraction=extraction))
    given = [shutil.copytree(model, root / "model"), shutil.copytree(data, root / "data")]
    for command in STAGES[:-1]:
        repdrift(f"{command} --config study.yaml", root, fails=False)
    kinds: dict[str, list[str]] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not any(p.is_relative_to(g) for g in given)):
        name = path.relative_to(root).as_posix()
        kinds.setdefault(kind_of(name), []).append(name)
    table, outcomes = pd.read_parquet(root / TABLE), pd.read_parquet((root / TABLE).with_name(OUTCOMES))
    return Finished(root, table, outcomes, kinds, repdrift(_POWER, root, fails=False).stdout)


def kind_of(name: str) -> str:
    """Returns the name without what tells files of one kind apart: time stamps and numbers."""
    return re.sub(r"_\d{8}_\d{6}(_\d+)?|\d+", "#", name)


def repdrift(command: str, root: Path, *, fails: bool | None = None) -> Done:
    """Run a command in `root`. Raises TimeoutError if it hangs."""
    with _in_time(command):
        return run_here(f"python -m repdrift {command}", root, fails=fails)


@contextmanager
def _in_time(command: str) -> Iterator[None]:
    def hangs(*_: object) -> None:
        raise TimeoutError(f"{command} hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(_HANGS_AFTER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def commands_that_read(name: str, *, draw: bool) -> list[str]:
    """The command lines whose answer may depend on a file of a study. draw: figures and page too, which take seconds."""
    config = "--config study.yaml"
    if "/drift_analysis/" in name:
        drawing = [f"visualize {config} --output-dir again"] if draw else []
        return [*drawing, _POWER, f"analyze {config}"]
    if "/outcomes/" in name:
        analyses = [f"analyze {config} --output-dir new", f"analyze {config} {DRIFT_ALONE}"]
        return [f"status {config}", analyses[0], f"evaluate {config}", analyses[1]]
    if "representations/" in name:
        top = RUNS if name.startswith(RUNS) else BASE
        return [
            f"status {config}", f"verify {top}", f"push {top} remote", f"analyze {config} --output-dir new",
            f"extract {config} --checkpoint all", f"analyze {config} {DRIFT_ALONE}",
        ]  # fmt: skip
    return [f"status {config}", f"train {config}", f"extract {config} --checkpoint all", f"analyze {config}"]


@dataclass
class Damage:
    """What was done to a copy of a study, and what is wrong with the answers.

    what: the damage in words. names: any of these words names it in a message. may_lack: a set may be missing from the
    analysis.
    """

    study: Finished
    folder: Path
    what: str
    names: tuple[str, ...]
    may_lack: bool = False
    wrong: list[str] = field(default_factory=list)
    said: str = ""
    commands: int = 0

    def run(self, commands: list[str]) -> None:
        """Run commands on the damaged study: each refuses and names the damage, or has the right numbers."""
        for command in commands:
            self.commands += 1
            try:
                done = repdrift(command, self.folder)
            except Exception as error:
                self.fault(command, f"{type(error).__name__}: {error}")
                continue
            said = done.stdout + done.stderr
            if done.returncode:
                self.said += said
                if not self._is_named(said):
                    self.fault(command, f"refused without naming {self.names[0]}: {said[-400:]}")
            elif command.startswith("analyze"):
                at = self.folder / ("new/drift.parquet" if "new" in command else TABLE)
                if other_values(pd.read_parquet(at), self.study.table, may_lack=self.may_lack):
                    self.fault(command, f"other numbers: {said[-400:]}")
                if at.with_name(OUTCOMES).is_file() and other_outcomes(at.with_name(OUTCOMES), self.study.outcomes):
                    self.fault(command, f"other outcomes: {said[-400:]}")
            elif command == _POWER and done.stdout != self.study.power:
                self.fault(command, f"other numbers: {said[-400:]}")
            elif command.startswith("visualize") and self.names[0].endswith("results.json"):
                self.fault(command, "drawn from damaged results")
            elif command.startswith(("verify", "status", "push")) and not self._is_named(said):
                self.silent(command, said)

    def _is_named(self, said: str) -> bool:
        return any(name.casefold() in said.casefold() for name in self.names)

    def silent(self, command: str, said: str) -> None:
        """Note a command that only looks, and did not see the damage; `status` looks at sizes alone."""
        if not command.startswith("status"):
            self.fault(command, f"does not see it: {said[-400:]}")

    def fault(self, command: str, fault: str) -> None:
        self.wrong.append(f"{self.what}: {command}: {fault}")

    def follow_advice(self, damaged: Path) -> None:
        """Do what the messages say, then run every stage but the drawing: the numbers must be those from before.

        What a stage says then is followed as well, for as long as it says something else.
        """
        advice = self.said
        for _ in range(_MOST_STEPS):
            self._do(advice, damaged)
            refusal = self._refusal_of_stages()
            if refusal is None:
                if not pd.read_parquet(self.folder / TABLE).equals(self.study.table):
                    self.fault("the advice", f"leads to other numbers: {self.said[-600:]}")
                return
            if refusal == advice:
                break
            advice = refusal
        self.fault("the advice", f"does not help: {advice[-900:]}")

    def _do(self, advice: str, damaged: Path) -> None:
        aside = self.folder / f"aside{len(list(self.folder.glob('aside*')))}"
        out_of_the_way = ("the file out", "ove it away", "ove away what stands there", "remove it", "leads nowhere")
        if "Get the right to read it" in advice and damaged.is_file():
            damaged.chmod(0o644)
        elif any(words in advice for words in out_of_the_way) and (damaged.is_symlink() or damaged.exists()):
            damaged.rename(aside)
        moved = re.search(r"[Mm]ove (\S+) away", advice)
        if moved is not None and (self.folder / moved[1]).exists():
            (self.folder / moved[1]).rename(f"{aside}_folder")

    def _refusal_of_stages(self) -> str | None:
        for command in (*STAGES[:-2], f"analyze {DRIFT_ALONE}"):
            self.commands += 1
            try:
                done = repdrift(f"{command} --config study.yaml", self.folder)
            except Exception as error:
                return f"{command}: {type(error).__name__}: {error}"
            if done.returncode:
                return done.stderr
        return None


def damaged_file(
    study: Finished, name: str, fault: Callable[..., object], folder: Path, *, follow: bool = True
) -> Damage | None:
    """Damage one file in a copy of the study, run what reads it, and follow the advice unless `follow` is False.

    None if the fault changes nothing.
    """
    shutil.copytree(study.root, folder, symlinks=True)
    path = folder / name
    others = [other for other in study.kinds.get(kind_of(name), []) if other != name]
    before = path.read_bytes()
    commands = commands_that_read(name, draw=follow)
    if fault.__name__ == "flip_keeping_times":  # this process has read the file already when it is damaged
        for command in commands:
            repdrift(command, folder)
    fault(path, study.root / others[-1] if others else None)
    if path.is_file() and path.stat().st_mode & 0o777 and _content(path.read_bytes()) == _content(before):
        return None
    damage = Damage(study, folder, f"{name}, {fault.__name__}", _names(path), may_lack=path.name == "metadata.json")
    with obeying_modes():
        damage.run(commands)
        if follow:
            damage.follow_advice(path)
    return damage


def _content(data: bytes) -> object:
    """What a file says: of JSON, whatever its layout."""
    try:
        return json.loads(data)
    except ValueError:
        return data


def _names(path: Path) -> tuple[str, ...]:
    """Words that name a file, or what is made anew by a command that the message also names."""
    folder = path.parent.name if path.parent.name in ("identity", "random_change") else path.parent.parent.name
    if path.name == "run.json":
        return ("run.json", "repdrift train")
    return (path.name, folder) if path.name == "metadata.json" else (path.name,)


def other_values(table: pd.DataFrame, reference: pd.DataFrame, *, may_lack: bool) -> bool:
    """True if a table has another number than the reference, or lacks rows where it may not.

    A set without its metadata is unfinished: it is missing, and the others have the values that they have with it.
    """
    if table.equals(reference):
        return False
    both = table.merge(reference, on=_KEY, suffixes=("", "_reference"))
    same = len(both) == len(table) and both["value"].equals(both["value_reference"].rename("value"))
    return not (may_lack and same)


def other_outcomes(path: Path, reference: pd.DataFrame) -> bool:
    """True if an outcome has another number than the reference. Outcomes whose record is gone are missing, and named as missing."""
    found = pd.read_parquet(path)
    both = found.merge(reference, on=_OUTCOME_KEY, suffixes=("", "_reference"))
    same = all(
        both[name].equals(both[f"{name}_reference"].rename(name)) for name in ("value", "base_value", "low", "high")
    )
    return not (same and len(both) == len(found))
