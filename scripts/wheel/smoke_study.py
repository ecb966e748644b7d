"""Runs a whole small study, a comparison and the commands around them with the installed repdrift, as check_wheel.py asks.

Run by the interpreter of the environment that is checked, in an empty folder. The model is tiny and has random weights: this shows that
the package works with the versions around it, not what it measures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SEEDS = (1, 2, 3)
STUDY = """
name: smoke
model: model
data_dir: data
tasks: [sst2, squad_v2]
methods: [full_finetune, lora]
seeds: [1, 2, 3]
training:
  all: {epochs: 1, batch_size: 8, max_length: 48, doc_stride: 8, checkpoint_every: 2, learning_rate: 0.01}
analysis: {replicates: 400}
results_dir: results
base_dir: base_representations
"""


def main() -> None:
    """Raise SystemExit with what went wrong, if anything did."""
    import repdrift

    where = Path(repdrift.__file__).resolve()
    if where.is_relative_to(REPOSITORY / "src"):
        raise SystemExit(f"this would test the source folder, not the wheel: repdrift was imported from {where}")
    sys.path.append(str(REPOSITORY))
    from tests.tiny_models import save_bert, save_tuned, write_sentences

    save_bert(Path("model"))
    save_tuned(Path("model"), Path("tuned"))
    write_sentences(Path("texts.txt"), 40)
    write_tasks(Path("data"))
    Path("study.yaml").write_text(STUDY, encoding="utf-8")
    repdrift_ok("--version")
    repdrift_ok("run", "study.yaml")
    repdrift_ok("status", "--config", "study.yaml")
    repdrift_ok("table", "study.yaml")
    repdrift_ok("verify", "base_representations/sst2")
    repdrift_ok("compare", "model", "tuned", "--data", "texts.txt", "--output-dir", "compared")
    results = repdrift.load_results("results/drift_analysis")
    table = results.to_pandas("drift")
    final = table[table["step"] == 0]
    models = final.groupby(["task", "method", "seed"]).ngroups
    if models != 2 * 2 * len(SEEDS):
        raise SystemExit(f"expected {2 * 2 * len(SEEDS)} models in the table of drift, got {models}")
    for page in ("results/drift_visualizations/dashboard.html", "compared/report.html"):
        if "<script" not in Path(page).read_text(encoding="utf-8"):
            raise SystemExit(f"{page} has no charts")
    print(f"smoke study: {models} models, {len(table)} rows of drift, versions: {versions()}")


def repdrift_ok(*arguments: str) -> None:
    """Run a command of the installed package; raise SystemExit with its output if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "repdrift", *arguments], capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(f"repdrift {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def versions() -> str:
    """The versions of the libraries that matter most."""
    from importlib.metadata import version

    names = ("torch", "transformers", "peft", "numpy", "pandas", "pydantic", "scikit-learn", "pyarrow")
    return ", ".join(f"{name} {version(name)}" for name in names)


def write_tasks(folder: Path) -> None:
    """Write 24 rows of training and 20 of validation for sst2 and squad_v2, of words that the tiny model knows."""
    from tests.tiny_models import sentence

    for split, count, start in (("train", 24, 0), ("validation", 20, 100)):
        rows: dict[str, list[dict[str, object]]] = {"sst2": [], "squad_v2": []}
        for i in range(start, start + count):
            rows["sst2"].append({"sentence": sentence(i, 4 + i % 7), "label": i % 2, "idx": i})
            words = sentence(i, 12 + i % 9).split()
            begin = len(" ".join(words[:3])) + 1
            answers = {"text": [words[3]], "answer_start": [begin]} if i % 2 else {"text": [], "answer_start": []}
            question = {"id": f"{split}-{i}", "question": sentence(i - start, 4) + " ?", "context": " ".join(words)}
            rows["squad_v2"].append({**question, "answers": answers})
        for task, entries in rows.items():
            path = folder / task / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


if __name__ == "__main__":
    main()
