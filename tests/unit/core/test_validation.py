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
        ({"several": ["a", {"raet": 1}]}, "several.1._Part.raet: unknown key; did you mean 'rate'?"),
    ],
)
def test_unknown_key_suggests_one_that_is_allowed_at_its_place(content, fault):
    assert fault in _faults(**{"name": "x"} | content)


def test_a_long_value_is_shortened():
    (fault,) = _faults(name=["x" * 5000])
    assert len(fault) < 200
