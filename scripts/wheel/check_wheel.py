"""Builds the wheel, installs it into empty environments with the lowest and the newest allowed versions, and runs a small study in each.

    python scripts/wheel/check_wheel.py                      both environments (what .ci/run does)
    python scripts/wheel/check_wheel.py --environments lowest
    python scripts/wheel/check_wheel.py --extras             also: can each extra be installed alone? (resolved, not installed)
    python scripts/wheel/check_wheel.py --environments none --extras hub,s3

torch stays at the version of constraints.txt in both: older wheels for Linux bring gigabytes of CUDA libraries with them. So its lower bound is
not checked here. `--torch VERSION` takes another.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
SMOKE = Path(__file__).with_name("smoke_study.py")
NOT_RESOLVED = {
    "dev": "for the source folder, where constraints.txt pins it",
    "peers": "repsim compiles C++",
}


def main() -> None:
    """Parse the arguments, build, check; a failure ends the program with its output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", default="newest,lowest", help="newest, lowest, both with a comma, or none")
    parser.add_argument(
        "--extras", nargs="?", const="all", help="resolve every extra alone, or those named with a comma"
    )
    parser.add_argument("--torch", default=pinned_torch(), help="the version of torch (default: %(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="repdrift_wheel_") as scratch:
        folder = Path(scratch)
        wheel = built_wheel(folder / "dist")
        check_environments(
            [] if asked.environments == "none" else asked.environments.split(","), wheel, folder, asked.torch
        )
        if asked.extras:
            check_extras(chosen_extras(asked.extras), wheel, folder / "extras", asked.torch)


def pinned_torch() -> str:
    """The version of torch in constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("torch==") for line in lines if line.startswith("torch=="))


def project() -> dict[str, dict[str, list[str]]]:
    """The `project` table of pyproject.toml."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def built_wheel(target: Path) -> Path:
    """Build the source archive, and the wheel from it, so that both are whole. Returns the wheel's path."""
    began = time.perf_counter()
    run([sys.executable, "-m", "build", "--outdir", str(target), str(REPOSITORY)])
    wheel = next(target.glob("*.whl"))
    report(f"built {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB", began)
    return wheel


def constraints_of(name: str, torch: str) -> list[str]:
    """Lines of a constraints file: torch as it is named, and for `lowest` the lower bound of all other direct dependencies."""
    if name not in ("lowest", "newest"):
        raise SystemExit(f"no environment `{name}`; there are `lowest` and `newest`")
    lines = [f"torch=={torch}"]
    for line in project()["dependencies"] if name == "lowest" else ():
        requirement = Requirement(line)
        (bound,) = requirement.specifier  # one lower bound each: a test of this project holds it
        if requirement.name != "torch":
            lines.append(f"{requirement.name}=={bound.version}")
    return lines


def check_environments(names: list[str], wheel: Path, folder: Path, torch: str) -> None:
    """Check these environments beside each other, with a thread of its own for each; when all are done, one that failed ends the program with its output."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(check_environment, name, wheel, folder / name, torch) for name in names]:
            done.result()


def check_environment(name: str, wheel: Path, folder: Path, torch: str) -> None:
    """Install the wheel into an empty environment and run the small study there."""
    began = time.perf_counter()
    python = empty_environment(folder / "environment")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(constraints_of(name, torch)) + "\n", encoding="utf-8")
    run([str(python), "-m", "pip", "install", "-q", "-c", str(constraints), str(wheel)])
    run([str(python), "-m", "pip", "check"])
    report(f"{name}: installed", began)
    began = time.perf_counter()
    work = folder / "work"
    work.mkdir()
    said = run([str(python), str(SMOKE)], cwd=work)
    report(f"{name}: {said.strip().splitlines()[-1]}", began)


def chosen_extras(names: str) -> list[str]:
    """The extras of these names, with commas between them; `all`: every one. Ends the program for a name that is none."""
    every = list(project()["optional-dependencies"])
    chosen = every if names == "all" else names.split(",")
    if unknown := [name for name in chosen if name not in every]:
        raise SystemExit(f"no extra {unknown[0]!r}; there are {', '.join(every)}")
    return chosen


def check_extras(extras: list[str], wheel: Path, folder: Path, torch: str) -> None:
    """Resolve the wheel with each of these extras alone, in an empty environment; nothing is installed."""
    python = empty_environment(folder / "environment")
    constraints = folder / "constraints.txt"
    constraints.write_text(f"torch=={torch}\n", encoding="utf-8")
    for extra in extras:
        if extra in NOT_RESOLVED:
            report(f"extra {extra}: not resolved ({NOT_RESOLVED[extra]})", time.perf_counter())
            continue
        began = time.perf_counter()
        run([str(python), "-m", "pip", "install", "-q", "--dry-run", "-c", str(constraints), f"{wheel}[{extra}]"])
        report(f"extra {extra}: can be installed", began)


def empty_environment(folder: Path) -> Path:
    """Make a virtual environment with pip and nothing else. Returns its interpreter."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def run(command: list[str], *, cwd: Path | None = None) -> str:
    """Run a command without what would let it see the source folder. Returns its output; ends the program if it fails."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def report(what: str, began: float) -> None:
    """Print a line with the seconds that it took."""
    print(f"wheel: {what} ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
