"""A study file that is changed while its study runs."""

from repdrift.study.jobs.watched_file import WatchedStudyFile


def test_a_changed_file_is_said_once(tmp_path, capsys):
    file = tmp_path / "study.yaml"
    file.write_text("name: a\n")
    watched = WatchedStudyFile(str(file))
    watched.look()
    assert capsys.readouterr().err == ""
    file.write_text("name: b\n")
    watched.look()
    watched.look()
    said = capsys.readouterr().err
    assert said.count(f"{file} was changed or moved since this study began") == 1
    assert "of that configuration" in said


def test_a_file_that_goes_away_is_said_and_a_packaged_study_has_none(tmp_path, capsys):
    file = tmp_path / "study.yaml"
    file.write_text("name: a\n")
    watched = WatchedStudyFile(str(file))
    file.unlink()
    watched.look()
    assert "changed or moved" in capsys.readouterr().err
    for name in (None, "demo"):
        WatchedStudyFile(name).look()
    assert capsys.readouterr().err == ""
