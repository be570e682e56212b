import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_train.eda.separation import separation_text


def text_of(values: NDArray[np.number], labels: list[str], patients: list[str]) -> str:
    table = pd.DataFrame(
        {"label": labels, "patient": patients, "path": [f"{i}.png" for i in range(len(labels))]}
    )
    return separation_text("width", values, table, cause="Ask why.")


LABELS = ["NORMAL"] * 20 + ["PNEUMONIA"] * 20
UNKNOWN = [""] * 40


def test_separated_labels_are_reported_with_the_cause() -> None:
    text = text_of(np.arange(40), LABELS, UNKNOWN)
    assert "Youden's J 1.00" in text
    assert "n = 40" in text
    assert text.endswith("Ask why.")


def test_values_of_chance_are_called_chance() -> None:
    text = text_of(np.random.default_rng(0).random(40), LABELS, UNKNOWN)
    assert text.endswith("no more than by chance with this many patients.")


def test_what_one_property_in_twenty_shows_by_chance_is_called_chance() -> None:
    values = np.arange(40) % 20 + np.repeat([0, 8], 20)
    text = text_of(values, LABELS, UNKNOWN)
    assert "Youden's J 0.40" in text  # p = 0.08
    assert text.endswith("no more than by chance with this many patients.")


def test_one_value_says_nothing() -> None:
    assert "same for all images" in text_of(np.ones(40), LABELS, UNKNOWN)


def test_a_patient_with_many_films_counts_once() -> None:
    one_each = ["a"] * 20 + ["b"] * 20
    text = text_of(np.arange(40), LABELS, one_each)
    assert "n = 2)" in text
    assert text.endswith("no more than by chance with this many patients.")


def test_one_patient_with_both_labels_is_no_error() -> None:
    assert "n = 2)" in text_of(np.arange(40), LABELS, ["a"] * 40)
