from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.acquisition_weights import (
    domain_weights,
    domains_of,
    read_domains,
    table_weights,
)

# Look A on 8 of 10 normal films and 2 of 10 with pneumonia.
LABELS = np.repeat([0, 1], 10)
LOOKS = np.array(list("A" * 8 + "B" * 2 + "A" * 2 + "B" * 8), dtype=object)


def shares(labels: NDArray[np.integer], looks: NDArray[np.object_], weights: NDArray[np.float64]):
    frame = pd.DataFrame({"label": labels, "look": looks, "weight": weights})
    sums = frame.pivot_table(index="look", columns="label", values="weight", aggfunc="sum")
    return sums / sums.sum()


def test_looks_get_the_mean_of_their_shares_in_both_labels() -> None:
    weights = domain_weights(LABELS, LOOKS)
    assert weights[0] == pytest.approx(0.5 / 0.8)
    assert weights[8] == pytest.approx(0.5 / 0.2)
    assert weights[10] == pytest.approx(0.5 / 0.2)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("ABC")), min_size=2, max_size=60))
def test_weights_are_positive_of_mean_1_and_make_common_looks_alike(
    films: list[tuple[int, str]],
) -> None:
    labels = np.array([label for label, _ in films])
    looks = np.array([look for _, look in films], dtype=object)
    weights = domain_weights(labels, looks)
    assert (weights > 0).all()
    for label in np.unique(labels):
        assert weights[labels == label].mean() == pytest.approx(1.0)
    found = shares(labels, looks, weights)
    if found.shape == (len(set(looks)), 2) and found.notna().all(axis=None):
        np.testing.assert_allclose(found[0], found[1])


def test_a_look_of_one_label_alone_keeps_its_share_and_the_others_are_alike() -> None:
    labels = np.repeat([0, 1], [5, 10])
    looks = np.array(list("AAAAB" + "A" * 2 + "B" * 2 + "C" * 6), dtype=object)
    found = shares(labels, looks, domain_weights(labels, looks))
    assert found.at["C", 1] == pytest.approx(0.6)
    # Of what is left to the others, 0.8 and 0.5 are A's shares.
    assert found.at["A", 0] == pytest.approx((0.8 + 0.2) / 2 / ((0.8 + 0.2) / 2 + (0.2 + 0.2) / 2))
    assert found.at["A", 1] / 0.4 == pytest.approx(found.at["A", 0])


def test_recipes_without_balance_need_no_looks_and_others_do() -> None:
    table = pd.DataFrame({"label": ["NORMAL", "PNEUMONIA"]})
    assert table_weights(table, balance=False) is None
    with pytest.raises(DatasetError, match="no column 'look'"):
        table_weights(table, balance=True)
    weights = table_weights(table.assign(look=["A", "A"]), balance=True)
    assert weights is not None
    np.testing.assert_allclose(weights, 1.0)


def test_looks_are_found_by_file_name(tmp_path: Path) -> None:
    (tmp_path / "looks.csv").write_text("file,look,by\na.png,A,eye\nb.png,B,probe\nc.png,,eye\n")
    looks = read_domains(tmp_path / "looks.csv")
    paths = pd.Series(["x/b.png", "y/z/a.png"], index=[7, 3])
    assert domains_of(paths, looks).to_dict() == {7: "B", 3: "A"}
    for unknown in ("d.png", "c.png"):
        with pytest.raises(DatasetError, match=f"{unknown}: its look is not known"):
            domains_of(pd.Series([unknown]), looks)
    with pytest.raises(DatasetError, match=r"looks\.csv"):
        read_domains(tmp_path / "absent-looks.csv")
