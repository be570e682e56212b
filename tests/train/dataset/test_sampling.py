import pandas as pd

from cxr_edge_train.dataset.sampling import spread_over_patients


def table(patients: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"path": [f"{i}.png" for i in range(len(patients))], "patient": list(patients)}
    )


def test_every_patient_comes_before_any_comes_again() -> None:
    drawn = spread_over_patients(table("aaaaabbc"), seed=3)
    assert sorted(drawn["patient"][:3]) == ["a", "b", "c"]
    assert sorted(drawn["patient"][3:5]) == ["a", "b"]
    assert sorted(drawn.index) == list(range(8))


def test_unknown_patients_are_taken_for_different_ones() -> None:
    rows = table("abb---").replace("-", "")
    assert sorted(spread_over_patients(rows, seed=0)["patient"][:5]) == ["", "", "", "a", "b"]


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    rows = table("abcdefgh")
    drawn = [
        list(spread_over_patients(t, seed=seed)["path"])
        for t, seed in ((rows, 0), (rows[::-1], 0), (rows, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
