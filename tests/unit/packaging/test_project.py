"""The package's description: bounds of dependencies, what is in the wheel, the version, the citation."""

import fnmatch
import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import repdrift

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINNED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
)
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def _requirements():
    yield from PYPROJECT["project"]["dependencies"]
    for extra in EXTRAS.values():
        yield from (line for line in extra if not line.startswith("repdrift["))


@pytest.mark.parametrize("line", sorted(set(_requirements())))
def test_every_dependency_has_one_lower_bound_that_what_we_test_with_meets(line):
    requirement = Requirement(line)
    (bound,) = requirement.specifier
    assert bound.operator == ">=", "an upper bound would stop users from taking a newer version that works"
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINNED.items()}
    pinned = normal.get(re.sub(r"[-_.]+", "-", requirement.name).lower())
    assert pinned is None or Version(pinned) in requirement.specifier


@pytest.mark.parametrize("line", PYPROJECT["project"]["dependencies"])
def test_every_dependency_is_pinned_for_tests(line):
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in PINNED}
    assert re.sub(r"[-_.]+", "-", Requirement(line).name).lower() in pinned


def test_every_file_of_the_package_goes_into_the_wheel():
    listed = subprocess.run(["git", "ls-files", "src/repdrift"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git history here")
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["repdrift"]
    names = [pattern.removeprefix("**/") for pattern in patterns]
    left = [
        file
        for file in listed.stdout.split()
        if not file.endswith(".py") and not any(fnmatch.fnmatch(Path(file).name, name) for name in names)
    ]
    assert left == []


def test_the_version_is_one():
    assert Version(repdrift.__version__)


def test_the_citation_names_what_the_package_is():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = PYPROJECT["project"]
    assert citation["title"] == project["name"]
    assert citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    assert citation["keywords"] == project["keywords"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_changelog_has_what_is_unreleased_on_top_and_a_section_for_each_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert first == "Unreleased"
    assert versions
    assert sorted(versions, key=Version, reverse=True) == versions
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.get("version", versions[0]) == versions[0]


def test_the_changelog_names_only_pages_and_folders_that_are_there():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    named = re.findall(r"(?:docs|benchmarks|scripts|studies|examples)/[\w./*-]*[\w*]", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_lowest_versions_are_the_bounds_of_pyproject():
    checks = runpy.run_path(str(ROOT / "scripts/wheel/check_wheel.py"))
    lowest = checks["constraints_of"]("lowest", "2.13.0")
    bounds = {
        f"{r.name}=={next(iter(r.specifier)).version}" for r in map(Requirement, PYPROJECT["project"]["dependencies"])
    }
    assert set(lowest) - bounds == {"torch==2.13.0"}
    assert bounds - set(lowest) == {bound for bound in bounds if bound.startswith("torch==")}
    assert checks["constraints_of"]("newest", "2.13.0") == ["torch==2.13.0"]
    with pytest.raises(SystemExit, match="no environment `low`"):
        checks["constraints_of"]("low", "2.13.0")


def test_each_extra_that_is_not_resolved_exists():
    checks = runpy.run_path(str(ROOT / "scripts/wheel/check_wheel.py"))
    assert checks["NOT_RESOLVED"].keys() <= EXTRAS.keys()
    assert checks["chosen_extras"]("all") == list(EXTRAS)
    assert checks["chosen_extras"]("hub,s3") == ["hub", "s3"]
    with pytest.raises(SystemExit, match="no extra 'hubb'"):
        checks["chosen_extras"]("hub,hubb")


def test_the_page_on_installing_names_every_extra_and_no_other():
    page = (ROOT / "docs/howto/installing.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert named == EXTRAS.keys() - {"docs", "dev", "peers"}
