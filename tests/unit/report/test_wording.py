from repdrift.core import hypotheses
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.study_info import StudyInfo
from repdrift.report import wording


def test_measures_that_are_not_known_keep_their_name():
    titles = {"own": "my measure", "gap": "a distance"}
    study = StudyInfo.model_construct(measure_titles=titles, distances=["gap"])
    assert drift_definition(study, "cka") == "1 - debiased CKA"
    assert drift_definition(study, "own") == "1 - my measure"
    assert drift_definition(study, "gap") == "a distance"
    assert drift_definition(study, "unknown") == "1 - unknown"


def test_estimates_have_their_unit():
    assert wording.estimate_text(hypotheses.TARGET, 0.314) == "31 %"
    assert wording.estimate_text(hypotheses.ALIKE, 0.686) == "0.69"
    assert wording.estimate_text(hypotheses.INTERACTION, 0.14) == "14 points"
    assert wording.estimate_text(hypotheses.ABOVE_NOISE, 0.0042) == "0.0042"
    assert wording.effect_text("difference", 0.0042) == "0.0042"
    assert wording.effect_text("ratio", 0.686) == "0.69"
