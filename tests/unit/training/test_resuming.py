"""A training that is killed goes on from its last state, to the same bytes as one that never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repdrift.training import fit as fitting
from repdrift.training.history import read_history
from repdrift.training.resuming import find_unfinished
from repdrift.training.training_run import train
from repdrift.training.training_state import TrainingState, states_folder
from repdrift.training.tuning_kind import tuning_kinds
from tests.unit.training.test_training_run import _job, _weights

_OPTIONS = {"epochs": 4, "batch_size": 4, "gradient_accumulation_steps": 2, "save_state_every": "2 steps"}
_STEPS = 12
_SCRIPT = """
import os, signal, sys
from pathlib import Path
from repdrift.training import fit as fitting
from repdrift.training.training_run import train
from tests.unit.training.test_resuming import killed_after
from tests.unit.training.test_training_run import _job
model, data, results, case, step = sys.argv[1:6]
killed_after(int(step), lambda name, value: setattr(fitting._AfterStep, name, value))
train(_job(Path(model), Path(data), **eval(case)), Path(results))
"""


def killed_after(step, replace, how=lambda: os.kill(os.getpid(), signal.SIGKILL)):
    """Makes the process die in the middle of a step: after the weights have moved, before a state of it is saved."""
    real = fitting._AfterStep.on_step_end

    def on_step_end(self, args, state, control, **rest):
        real(self, args, state, control, **rest)
        if state.global_step == step:
            how()

    replace("on_step_end", on_step_end)


class Stopped(BaseException):
    """Stands for a kill inside the test's own process."""


def _stop():
    raise Stopped


def _case(method, **more):
    # dropout is on: 0.1 in the model, and in the adapter
    return {"method": method, **_OPTIONS, **({"arm_options": {"dropout": 0.1}} if method == "lora" else {}), **more}


def _bytes(run):
    return next((run.folder / "final_model").glob("*.safetensors")).read_bytes()


def _difference(run, other):
    ours, theirs = _weights(run), _weights(other)
    largest = {name: float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours}
    return f"largest differences {largest}, {torch.get_num_threads()} threads"


def _weights_of(run):
    return {name: digest for name, digest in run.record.files.items() if name.endswith(".safetensors")}


def _history(run):
    return (run.folder / "history.jsonl").read_text()


@pytest.mark.parametrize("method", ["full_finetune", "lora"])
def test_a_run_killed_by_sigkill_goes_on_to_the_same_bytes(method, tiny_bert, tiny_data, tmp_path):
    # keep: best takes rows out of training, and may keep a checkpoint from before the kill
    case = _case(method, checkpoint_every=3, **({"keep": "best"} if method == "lora" else {}))
    step = random.SystemRandom().randrange(3, _STEPS)
    root = Path(__file__).parents[3]
    # Another number of threads rounds sums otherwise: 1 and 2 give other bytes.
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join([*sys.path, str(root)])}
    killed = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tiny_bert), str(tiny_data), str(tmp_path / "killed"), repr(case), str(step)],
        env=environment, capture_output=True, text=True, check=False, cwd=root,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    job = _job(tiny_bert, tiny_data, **case)
    found = find_unfinished(tmp_path / "killed", job.key())
    assert found is not None
    assert found.record.step == (step - 1) // 2 * 2
    resumed = train(job, tmp_path / "killed")
    whole = train(job, tmp_path / "whole")
    assert _bytes(resumed) == _bytes(whole), f"killed in step {step}; {_difference(resumed, whole)}"
    assert (resumed.folder, resumed.record.resumed_at) == (found.folder, [found.record.step])
    assert whole.record.resumed_at == []
    assert resumed.record.metrics == whole.record.metrics
    assert _weights_of(resumed) == _weights_of(whole)  # peft writes the names of adapted modules in any order
    assert resumed.record.checkpoints == whole.record.checkpoints == [3, 6, 9, 12]
    assert resumed.record.checkpoint_scores == whole.record.checkpoint_scores
    assert (resumed.record.held_out_scores, resumed.record.kept_step) == (
        whole.record.held_out_scores,
        whole.record.kept_step,
    )
    assert resumed.record.learnt == whole.record.learnt
    assert _history(resumed) == _history(whole)
    assert not (resumed.folder / "unfinished").exists()
    assert sorted(path.name for path in resumed.folder.iterdir()) == sorted(
        path.name for path in whole.folder.iterdir()
    )


@pytest.mark.parametrize("kind", [name for name in tuning_kinds.names() if name not in ("full_finetune", "lora")])
def test_every_other_kind_goes_on_to_the_same_bytes(kind, tiny_bert, tiny_data, tmp_path, monkeypatch):
    options = {"layers": {"last": 1}, "dora": {"dropout": 0.1}}.get(kind)
    job = _job(tiny_bert, tiny_data, **{**_case(kind), "epochs": 2}, arm_options=options)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        killed_after(3, lambda name, value: patch.setattr(fitting._AfterStep, name, value), _stop)
        train(job, tmp_path / "stopped")
    resumed, whole = train(job, tmp_path / "stopped"), train(job, tmp_path / "whole")
    assert resumed.record.resumed_at == [2]
    assert _weights_of(resumed) == _weights_of(whole)
    assert resumed.record.metrics == whole.record.metrics


@pytest.fixture
def stopped(tiny_bert, tiny_data, tmp_path, monkeypatch):
    """A job whose training was stopped in step 7, with its unfinished state."""
    job = _job(tiny_bert, tiny_data, **_case("lora", checkpoint_every=3))
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        killed_after(7, lambda name, value: patch.setattr(fitting._AfterStep, name, value), _stop)
        train(job, tmp_path)
    found = find_unfinished(tmp_path, job.key())
    assert found is not None
    assert found.record.step == 6
    return job, found


def test_another_number_of_threads_is_said(stopped, capsys):
    job, found = stopped
    state = found.place / "state.json"
    TrainingState.read(state).model_copy(update={"threads": torch.get_num_threads() + 1}).write(state)
    train(job, found.folder.parent)
    assert (
        f"going on after step 6 (with {torch.get_num_threads()} threads, and {torch.get_num_threads() + 1} before"
        in (capsys.readouterr().err)
    )


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: _flip(place / "state.safetensors"),
        lambda place: (place / "state.json").write_text((place / "state.json").read_text()[:-40]),
        lambda place: (place / "trainer_state.json").unlink(),
        lambda place: _flip(next((place.parents[2] / "checkpoints/step_000003").glob("*.safetensors"))),
        lambda place: (place / "state.json").write_text(
            (place / "state.json").read_text().replace('"torch": "', '"torch": "0.')
        ),
    ],
    ids=["tensors", "torn record", "missing progress", "checkpoint", "edited record"],
)
def test_a_damaged_state_is_discarded_with_a_word(damage, stopped, capsys):
    job, found = stopped
    damage(found.place)
    assert find_unfinished(found.folder.parent, job.key()) is None
    said = capsys.readouterr().err
    assert "cannot be used" in said
    assert "the training starts anew" in said
    assert not found.folder.exists()


def test_a_half_written_state_is_no_state(stopped):
    job, found = stopped
    half = found.place.parent / ".xyz.partial"
    found.place.rename(half)
    assert find_unfinished(found.folder.parent, job.key()) is None


def test_a_state_of_another_version_is_not_continued(stopped, monkeypatch, capsys):
    job, found = stopped
    versions = {**found.record.versions, "torch": "99"}
    monkeypatch.setattr("repdrift.training.resuming.library_versions", lambda: versions)
    run = train(job, found.folder.parent)
    assert "is not used, since it was written with torch" in capsys.readouterr().err
    assert run.record.resumed_at == []
    assert [line["step"] for line in read_history(run.folder) if "loss" in line] == [*range(1, _STEPS + 1)]


def test_another_job_does_not_take_the_state(stopped, tiny_bert, tiny_data):
    job, found = stopped
    assert find_unfinished(found.folder.parent, _job(tiny_bert, tiny_data, **_case("lora", seed=2)).key()) is None
    assert find_unfinished(found.folder.parent, job.key()) is not None


def test_a_full_disk_costs_the_state_and_not_the_training(tiny_bert, tiny_data, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("repdrift.training.resuming.write_state", refuse)
    run = train(_job(tiny_bert, tiny_data, **_case("lora")), tmp_path)
    assert run.record.metrics
    assert capsys.readouterr().err.count("no state is saved any more") == 1


def test_no_file_of_a_state_is_a_pickle(stopped):
    _, found = stopped
    names = sorted(path.name for path in states_folder(found.folder, found.record.key).rglob("*") if path.is_file())
    assert names == ["state.json", "state.safetensors", "trainer_state.json"]
    json.loads((found.place / "state.json").read_text())
    json.loads((found.place / "trainer_state.json").read_text())


def test_a_short_run_writes_no_state(tiny_bert, tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr("repdrift.training.resuming.write_state", lambda *_: pytest.fail("a state was written"))
    train(_job(tiny_bert, tiny_data), tmp_path)
