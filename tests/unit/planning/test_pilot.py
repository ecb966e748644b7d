import pytest

from repdrift.core.errors import DataError, UnknownNameError
from repdrift.planning.pilot import layer_pilots
from tests.unit.planning.pilots import A, B, pilot_results, pilots_of


def test_pilots_are_the_tasks_and_all_of_them_with_their_numbers_of_models():
    a, b, together = pilots_of({"a": A, "b": B})
    assert (a.where, a.sizes, a.seeds, a.missing) == ("a", [(3, 3)], 3, None)
    assert (b.sizes, b.seeds) == ([(3, 2)], 2)
    assert (together.where, together.sizes, together.seeds) == ("all", [(3, 3), (3, 2)], 2)
    assert together.reference == (*A[0], *B[0])
    assert together.comparison == (*A[1], *B[1])
    assert together.strata == (*"aaabbb", *"aaabb")
    assert [p.where for p in pilots_of({"a": A, "b": B}, ["b"])] == ["b"]
    with pytest.raises(UnknownNameError, match="unknown task of these results 'bb'"):
        pilots_of({"a": A, "b": B}, ["bb"])


def test_what_is_missing_is_named_and_not_filled_in():
    (pilot,) = pilots_of({"a": ([0.5, None, 0.4], A[1])})
    assert pilot.left_out == ("a, full_finetune, seed 1",)
    assert pilot.reference == (0.5, 0.4)
    one, other, *together = pilots_of({"a": A, "b": ([0.5, 0.4], None)})
    assert one.missing is None
    assert "no models of both" in other.missing
    assert together == [], "one task that can be compared is not several"
    *_, together = pilots_of({"a": A, "b": ([0.5], [0.4])})
    assert "1 and 1 models of the methods on b" in together.missing, "the analysis would test b with the others"


def test_layers_are_planned_for_by_the_median_and_the_largest_spread():
    results, _ = pilot_results({"a": A, "b": B}, layers=3, share=(1, -1, 1))
    found = layer_pilots(results)
    assert [p.where for p in found.pilots] == ["layer 0, of median spread", "layer 2, of largest spread"]
    assert found.pilots[1].reference == pytest.approx([x**3 for x in (*A[0], *B[0])])
    assert found.notes == [
        "Layer 1 cannot be planned for: the pilot has a drift on a that is not above 0, and the spread is taken of log drift."
    ]
    single = layer_pilots(pilot_results({"a": A}, layers=1)[0]).pilots
    assert [p.where for p in single] == ["layer 0, of median spread"]
    with pytest.raises(DataError, match="no layer can be planned for: the pilot has a drift"):
        layer_pilots(pilot_results({"a": A}, share=(-1, -1))[0])
    with pytest.raises(DataError, match="no layer can be planned for"):
        layer_pilots(pilot_results({"a": ([0.5], None)})[0])
