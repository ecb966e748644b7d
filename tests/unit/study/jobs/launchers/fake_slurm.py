"""A stand-in of Slurm's commands: small programs on the PATH that keep arrays and their states in one file, and that a test sets."""

import json
import stat
import sys
from pathlib import Path

_PROGRAM = """#!{python} -S
import json, re, sys
from pathlib import Path

here = Path(__file__).parent
command, arguments = Path(__file__).name, sys.argv[1:]
slurm = json.loads((here / "slurm.json").read_text())
slurm["calls"].append([command, *arguments])

def leave(code=0):
    (here / "slurm.json").write_text(json.dumps(slurm))
    sys.exit(code)

if command in slurm["refuses"]:
    refusal = slurm["refuses"][command]
    if refusal["times"] is not None:
        refusal["times"] -= 1
        if refusal["times"] <= 0:
            del slurm["refuses"][command]
    sys.stderr.write(refusal["words"] + "\\n")
    leave(1)
if command == "sbatch":
    script = Path(arguments[-1]).read_text()
    number = slurm["next"]
    slurm["next"] += 1
    slurm["scripts"][str(number)] = script
    array = re.search("--array=.?0-([0-9]+)", script)
    names = [f"{{number}}_{{i}}" for i in range(int(array[1]) + 1)] if array else [str(number)]
    for name in names:
        slurm["elements"][name] = {{"state": "PENDING", "exit": "0:0", "node": "", "reason": "Priority"}}
    print(f"Submitted batch job {{number}}")
elif command == "squeue":
    asked = arguments[arguments.index("-j") + 1].split(",")
    known = [n for n in slurm["elements"] if n.split("_")[0] in asked and n not in slurm["forgotten"]]
    if len(asked) == 1 and not known:
        sys.stderr.write("slurm_load_jobs error: Invalid job id specified\\n")
        leave(1)
    for name in known:
        each = slurm["elements"][name]
        print("|".join((name, each["state"], each["node"], each["reason"])))
elif command == "sacct":
    asked = arguments[arguments.index("-j") + 1].split(",")
    for name, each in slurm["elements"].items():
        if name.split("_")[0] in asked:
            state = "CANCELLED by 1000" if each["state"] == "CANCELLED" else each["state"]
            print("|".join((name, state, each["exit"], each["node"])))
elif command == "scancel":
    for name in arguments:
        if name in slurm["elements"]:
            slurm["elements"][name]["state"] = "CANCELLED"
leave()
"""


class FakeSlurm:
    """Slurm's commands in a folder. Elements are queued until a test says otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._write({"next": 101, "calls": [], "refuses": {}, "scripts": {}, "elements": {}, "forgotten": []})
        for name in ("sbatch", "srun", "squeue", "sacct", "scancel"):
            path = folder / name
            path.write_text(_PROGRAM.format(python=sys.executable))
            path.chmod(path.stat().st_mode | stat.S_IEXEC)

    def calls(self, command: str) -> list[list[str]]:
        """The arguments of every call of a command."""
        return [call[1:] for call in self._read()["calls"] if call[0] == command]

    def script(self, array: str) -> str:
        """The batch script of an array."""
        return self._read()["scripts"][array]

    def arrays(self) -> list[str]:
        """The numbers of the arrays that were submitted."""
        return list(self._read()["scripts"])

    def states(self) -> dict[str, str]:
        """The state of every element."""
        return {name: each["state"] for name, each in self._read()["elements"].items()}

    def put(self, element: str, state: str, *, exit_code: str = "0:0", node: str = "node7") -> None:
        """Set the state of an element."""
        slurm = self._read()
        slurm["elements"][element] = {"state": state, "exit": exit_code, "node": node, "reason": "None"}
        self._write(slurm)

    def forget(self, element: str) -> None:
        """squeue no longer shows an element, as some minutes after its end."""
        slurm = self._read()
        slurm["forgotten"].append(element)
        self._write(slurm)

    def refuse(self, command: str, words: str, *, times: int | None = None) -> None:
        """A command fails from now on, or so many times."""
        slurm = self._read()
        slurm["refuses"][command] = {"words": words, "times": times}
        self._write(slurm)

    def answer(self, command: str) -> None:
        """A command works again."""
        slurm = self._read()
        slurm["refuses"].pop(command, None)
        self._write(slurm)

    def _read(self) -> dict:
        return json.loads((self.folder / "slurm.json").read_text())

    def _write(self, slurm: dict) -> None:
        (self.folder / "slurm.json").write_text(json.dumps(slurm))
