import pandas as pd
import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.class_names import (
    KERMANY,
    ClassNames,
    choose_class_names,
    class_names,
    positives,
)


def test_names_of_the_kermany_set_need_no_statement_and_no_column() -> None:
    names = choose_class_names({"PNEUMONIA", "NORMAL"}, None, where="x")
    assert names == KERMANY
    assert names.column == {}
    assert class_names(pd.DataFrame({"label": ["NORMAL"]})) == KERMANY


def test_either_name_may_be_the_finding() -> None:
    assert choose_class_names({"TB", "CLEAR"}, "TB", where="x") == ("CLEAR", "TB")
    assert choose_class_names({"PNEUMONIA", "NORMAL"}, "NORMAL", where="x") == (
        "PNEUMONIA",
        "NORMAL",
    )


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        ({"TB", "CLEAR"}, None, "has the labels CLEAR, TB, not NORMAL and PNEUMONIA; say which"),
        ({"TB", "CLEAR"}, "tb", "no film has the positive label tb; found CLEAR, TB"),
        ({"TB"}, "TB", "all films have one label, TB; both classes"),
        ({"TB", "CLEAR", "FLU"}, "TB", "has 3 labels, CLEAR, FLU, TB.*map.*CLEAR=TB"),
        ({"TB", "no=finding"}, "TB", "'no=finding' cannot be a class name.*rename it"),
        ({"TB", "a|b"}, "TB", r"'a\|b' cannot be a class name"),
        ({"TB", "tb"}, "TB", "differ only in upper and lower case"),
        (set(), None, "no film has a label"),
    ],
)
def test_what_cannot_be_two_classes_is_refused(
    labels: set[str], positive: str | None, message: str
) -> None:
    with pytest.raises(DatasetError, match=f"^x: .*{message}"):
        choose_class_names(labels, positive, where="x")


def test_own_names_are_in_every_row_of_a_table() -> None:
    names = ClassNames("CLEAR", "TB")
    table = pd.DataFrame({"label": ["TB", "CLEAR"]}).assign(**names.column)
    assert class_names(table) == names
    assert positives(table).tolist() == [1, 0]
    assert class_names(table.head(1)) == names


@pytest.mark.parametrize("values", [["A|B", "B|A"], ["A", "A"], ["A|", "A|"], ["A|B|C"] * 2])
def test_damaged_column_is_refused(values: list[str]) -> None:
    table = pd.DataFrame({"label": ["A", "A"], "classes": values})
    with pytest.raises(DatasetError, match="the column classes must hold"):
        class_names(table)
