import pandas as pd

from cxr_edge_train.evaluation.subgroups import Subgroup, find_subgroups, worst_of
from cxr_edge_train.statistics.intervals import wilson_interval


def films(**columns: list[str]) -> pd.DataFrame:
    number = len(next(iter(columns.values())))
    own = {"path": [f"{n}.png" for n in range(number)], "kind": ["normal"] * number}
    return pd.DataFrame(own | {"classes": ["CLEAR|TB"] * number} | columns)


def predictions(labels: str, decisions: str) -> pd.DataFrame:
    names = {"-": "CLEAR", "+": "TB"}
    return pd.DataFrame(
        {
            "label": [names[sign] for sign in labels],
            "decision": [names[sign] for sign in decisions],
            "classes": "CLEAR|TB",
        }
    )


def test_each_value_has_its_own_sensitivity_and_specificity() -> None:
    found = find_subgroups(predictions("++--", "+---"), films(view=["AP", "PA", "PA", "PA"]))
    assert found == (
        Subgroup("view", "AP", 1, wilson_interval(1, 1), None),
        Subgroup("view", "PA", 3, wilson_interval(0, 1), wilson_interval(2, 2)),
    )


def test_ages_are_banded_in_their_order_and_the_unknown_come_last() -> None:
    ages = ["70", "", "0.5", "062Y", "4", "17", "18"]
    found = find_subgroups(predictions("+" * 7, "+" * 7), films(Age=ages))
    assert [group.name for group in found] == [
        "Age under 1 year", "Age 1 to 4 years", "Age 5 to 17 years", "Age 18 to 39 years",
        "Age 40 to 64 years", "Age 65 years and over", "Age not stated",
    ]  # fmt: skip


def test_columns_that_make_no_groups_are_left_out() -> None:
    numbers = [str(number) for number in range(25)]
    table = films(site=["A"] * 25, serial=numbers, patient=numbers, sex=["F", "M"] * 12 + [""])
    found = find_subgroups(predictions("+-" * 12 + "+", "+-" * 12 + "+"), table)
    assert [group.name for group in found] == ["sex F", "sex M", "sex not stated"]


def test_kind_that_only_repeats_the_label_is_left_out_and_values_can_be_shown() -> None:
    kinds = ["normal", "unknown"] * 2
    notes = ["x" * 200, "a\x1b[31m", "x" * 200, "a\x1b[31m"]
    found = find_subgroups(predictions("-+-+", "-+-+"), films(kind=kinds, note=notes))
    assert [group.value for group in found] == ["a [31m", "x" * 40 + "…"]


def test_worst_is_among_groups_of_enough_films() -> None:
    def group(value: str, right: int, n: int, column: str = "site") -> Subgroup:
        return Subgroup(column, value, n, wilson_interval(right, n), None)

    few, low, high = group("A", 0, 29), group("B", 20, 30), group("C", 30, 30)
    # Beside a group of few films alone, a group is not the worst.
    alone = (group("AP", 10, 30, column="view"), group("PA", 0, 5, column="view"))
    assert worst_of((few, high, low, *alone), "sensitivity") == low
    assert worst_of(alone, "sensitivity") is None
    assert worst_of((few, group("D", 1, 2)), "sensitivity") is None
    assert worst_of((low, high), "specificity") is None
