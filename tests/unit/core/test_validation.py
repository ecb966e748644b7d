import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from repdrift.core.validation import validation_faults


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = Field(default=0.1, gt=0)

    @field_validator("rate")
    @classmethod
    def _not_seven(cls, rate: float) -> float:
        if rate == 7:
            raise ValueError("seven is no rate")
        return rate


class _Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    part: _Part = _Part()
    by_name: dict[str, _Part] = {}
    several: tuple[str | _Part, ...] = ()


def _faults(**content: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        _Whole.model_validate(content)
    return validation_faults(caught.value, _Whole)


def test_all_faults_are_named_together_each_with_its_place():
    assert _faults(part={"rate": -1}, by_name={"x": {"rate": 7}}) == [
        "name: Field required",
        "part.rate: Input should be greater than 0 (got -1)",
        "by_name.x.rate: seven is no rate",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"namex": 1}, "namex: unknown key; did you mean 'name'?"),
        ({"zzz": 1}, "zzz: unknown key; known: name, part, by_name, several"),
        ({"part": {"raet": 1}}, "part.raet: unknown key; did you mean 'rate'?"),
        ({"by_name": {"x": {"raet": 1}}}, "by_name.x.raet: unknown key; did you mean 'rate'?"),
        ({"several": ["a", {"raet": 1}]}, "several.1.raet: unknown key; did you mean 'rate'?"),
    ],
)
def test_unknown_key_suggests_one_that_is_allowed_at_its_place(content, fault):
    assert fault in _faults(**{"name": "x"} | content)


def test_a_long_value_is_shortened():
    (fault,) = _faults(name=["x" * 5000])
    assert len(fault) < 200


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"rate": -1}, ["several.0.rate: Input should be greater than 0 (got -1)"]),
        (
            {"rate": -1, "x": 1},
            ["several.0.rate: Input should be greater than 0 (got -1)", "several.0.x: unknown key; known: rate"],
        ),
        (5, ["several.0: expected a text or a mapping of keys to values (got 5)"]),
        (None, ["several.0: expected a text or a mapping of keys to values (got None)"]),
        (["a"], ["several.0: expected a text or a mapping of keys to values (got ['a'])"]),
        ({}, []),
    ],
)
def test_of_a_value_with_several_forms_only_the_form_that_was_meant_is_spoken_of(value, faults):
    assert _faults(part=7, several=[value]) == [
        "name: Field required",
        "part: expected a mapping of keys to values (got 7)",
        *faults,
    ]


def test_an_empty_key_is_shown():
    assert _faults(name="x", part={"": 1}) == ["part.'': unknown key; known: rate"]


def test_a_wrong_key_of_a_mapping_is_named_without_marks_of_pydantic():
    assert _faults(name="x", by_name={1: {"rate": 1}}) == ["by_name.1: expected a text (got 1)"]
