import pytest

from repdrift.core.errors import UnknownNameError
from repdrift.study import design_notes as notes_module
from repdrift.study.config import parse_study
from repdrift.study.design_notes import checkpoints_note, design_notes, layer_count, say_design_notes
from repdrift.study.runs import planned_runs

NO_SUCH_MODEL = "somebody/some-model"


def _study(tasks=("mrpc", "sst2", "rte", "squad_v2"), seeds=3, model=NO_SUCH_MODEL, **more):
    content = {"name": "x", "model": model, "tasks": list(tasks), "seeds": list(range(seeds)), **more}
    return parse_study(content, where="x")


def test_three_seeds_on_four_tasks_reach_it_together_and_only_just_alone():
    said = design_notes(_study())
    assert (
        said[0]
        == "3 seeds per method are enough for p = 0.05 or less over all 4 tasks together (smallest possible p < 0.0001)"
    )
    assert (
        "in a single task p = 0.05 is reached only just: 0.05 is the smallest possible p of 3 seeds per method"
        in said[1]
    )
    assert "every LoRA model to drift less than every full fine-tuning one; 4 seeds leave room (0.014)" in said[1]
    assert "drift alike" in said[2]
    assert len(said) == 3


def test_a_design_without_limits_is_one_line():
    assert design_notes(_study(seeds=4)) == [
        "4 seeds per method are enough for p = 0.05 or less in a single task (smallest possible p 0.014) and over all 4 tasks "
        "together (smallest possible p < 0.0001)"
    ]


def test_two_seeds_in_one_task_are_told_how_many_would_do():
    said = design_notes(_study(["mrpc"], seeds=2))
    assert said[0] == (
        "on MRPC nothing can be significant: the smallest possible p of 2 seeds per method is 0.17, above 0.05; 3 seeds just "
        "reach it (0.05), 4 leave room (0.014)"
    )
    assert len(said) == 2


def test_one_seed_says_that_nothing_is_known_of_the_spread_between_seeds():
    said = design_notes(_study(["mrpc", "sst2"], seeds=1))
    assert any(
        note.startswith("over all 2 tasks together nothing") and note.endswith("2 seeds can (0.028)") for note in said
    )
    assert said[-1].startswith("with one seed nothing shows how far two models of one method differ")


def test_layers_are_counted_where_the_model_is_at_hand(monkeypatch):
    monkeypatch.setattr(notes_module, "layer_count", lambda _: 24)
    said = design_notes(_study(["mrpc"], seeds=3))
    (layers,) = [note for note in said if "24 layers" in note]
    assert layers == (
        "in each of 24 layers on MRPC the smallest possible p is 0.05 (corrected by max-T); should a model be missing, the "
        "correction is Holm's, and nothing can be significant (1); 6 seeds can (0.026)"
    )
    never = design_notes(_study(["mrpc"], seeds=2))[1]
    assert never.startswith(
        "in each of 24 layers on MRPC nothing can be significant: the smallest possible p of 2 seeds"
    )
    assert "max-T" not in " ".join(design_notes(_study(["mrpc"], seeds=2))), "it cannot either"
    together = design_notes(_study(seeds=3))[0]
    assert "in each of 24 layers over all tasks (smallest possible p 0.00015 after Holm's correction)" in together


def test_no_design_takes_more_than_five_lines(monkeypatch):
    monkeypatch.setattr(notes_module, "layer_count", lambda _: 24)
    tasks = ["mrpc", "sst2", "rte", "squad_v2"]
    for n_tasks in range(1, 5):
        for seeds in range(1, 8):
            for alpha in (0.05, 0.001, 0.2):
                said = design_notes(_study(tasks[:n_tasks], seeds, analysis={"alpha": alpha}))
                assert 1 <= len(said) <= 5, (n_tasks, seeds, alpha)


def test_the_selection_is_what_counts():
    study = _study()
    assert design_notes(study, planned_runs(study, tasks=["rte"]))[0].startswith("on RTE p = 0.05 is reached only just")
    (note,) = design_notes(study, planned_runs(study, methods=["lora"]))
    assert note == "no full fine-tuning model is planned, so nothing can be said about which method drifts less"
    with pytest.raises(UnknownNameError, match="task of this study"):
        design_notes(study, planned_runs(study, tasks=["cola"]))


def test_the_layers_of_a_model_that_is_not_here_are_not_known(tmp_path):
    assert layer_count(_study()) is None
    assert layer_count(_study(model=str(tmp_path))) is None, "a folder without a model is the business of training"
    (tmp_path / "config.json").write_text('{"model_type": "bert", "num_hidden_layers": 7}', encoding="utf-8")
    assert layer_count(_study(model=str(tmp_path))) == 7
    (tmp_path / "config.json").write_text('{"model_type": "t5", "num_layers": 7}', encoding="utf-8")
    assert layer_count(_study(model=str(tmp_path))) is None, "two stacks"


def test_notes_go_to_standard_error(capsys):
    say_design_notes(_study(["mrpc"], seeds=8))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("note: 8 seeds per method are enough")


def test_notes_of_several_arms_say_what_is_in_reach_after_correction_for_them():
    arms = ["full_finetune", "lora", "dora", {"name": "lora_r64", "kind": "lora", "rank": 64}]
    said = design_notes(_study(methods=arms))
    assert said[0] == (
        "3 seeds per method are enough for p = 0.05 or less over all 4 tasks together (smallest possible p < 0.0001); these p are "
        "corrected by Holm for 3 arms against one reference"
    )
    assert said[1].startswith(
        "in a single task nothing can be significant: the smallest possible p of 3 seeds per method is 0.15, above 0.05; these p are "
        "corrected by Holm for 3 arms against one reference; 4 seeds can (0.043)"
    )
    planned = [run for run in planned_runs(_study(methods=arms)) if run.method in ("full_finetune", "lora")]
    assert "Holm" not in design_notes(_study(methods=arms), planned)[0], "one arm alone is planned"


def test_the_reference_alone_is_compared_with_nothing():
    assert design_notes(_study(methods=["full_finetune"])) == [
        "no other model is planned, so nothing can be said about which method drifts less"
    ]


def test_a_study_without_checkpoints_is_told_what_it_cannot_compare():
    assert checkpoints_note(_study()).startswith("no run saves checkpoints, so that methods can be compared at the end")
    assert "training.all.checkpoints" in checkpoints_note(_study())
    assert checkpoints_note(_study(training={"all": {"checkpoints": 8}})) is None
    assert checkpoints_note(_study(training={"all": {"checkpoint_every": 8}})) is None
    part = checkpoints_note(_study(training={"methods": {"lora": {"checkpoints": 8}}}))
    assert part.startswith("4 kinds of runs of 8 save no checkpoints")
    assert checkpoints_note(_study(methods=["full_finetune"])) is None
    assert checkpoints_note(_study(analysis={"equal_skill": False})) is None
