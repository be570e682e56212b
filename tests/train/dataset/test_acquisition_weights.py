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
)

# Domain A on 8 of 10 normal films and 2 of 10 with pneumonia.
LABELS = np.repeat([0, 1], 10)
DOMAINS = np.array(list("A" * 8 + "B" * 2 + "A" * 2 + "B" * 8), dtype=object)


def shares(labels: NDArray[np.integer], domains: NDArray[np.object_], weights: NDArray[np.float64]):
    frame = pd.DataFrame({"label": labels, "look": domains, "weight": weights})
    sums = frame.pivot_table(index="look", columns="label", values="weight", aggfunc="sum")
    return sums / sums.sum()


def test_domains_get_the_mean_of_their_shares_in_both_labels() -> None:
    weights = domain_weights(LABELS, DOMAINS)
    assert weights[0] == pytest.approx(0.5 / 0.8)
    assert weights[8] == pytest.approx(0.5 / 0.2)
    assert weights[10] == pytest.approx(0.5 / 0.2)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("ABC")), min_size=2, max_size=60))
def test_weights_are_positive_of_mean_1_and_make_common_domains_alike(
    films: list[tuple[int, str]],
) -> None:
    labels = np.array([label for label, _ in films])
    domains = np.array([domain for _, domain in films], dtype=object)
    weights = domain_weights(labels, domains)
    assert (weights > 0).all()
    for label in np.unique(labels):
        assert weights[labels == label].mean() == pytest.approx(1.0)
    found = shares(labels, domains, weights)
    if found.shape == (len(set(domains)), 2) and found.notna().all(axis=None):
        np.testing.assert_allclose(found[0], found[1])


def test_a_domain_of_one_label_alone_keeps_its_share_and_the_others_are_alike() -> None:
    labels = np.repeat([0, 1], [5, 10])
    domains = np.array(list("AAAAB" + "A" * 2 + "B" * 2 + "C" * 6), dtype=object)
    found = shares(labels, domains, domain_weights(labels, domains))
    assert found.at["C", 1] == pytest.approx(0.6)
    # Of what is left to the others, 0.8 and 0.5 are A's shares.
    assert found.at["A", 0] == pytest.approx((0.8 + 0.2) / 2 / ((0.8 + 0.2) / 2 + (0.2 + 0.2) / 2))
    assert found.at["A", 1] / 0.4 == pytest.approx(found.at["A", 0])


def test_domains_are_found_by_file_name(tmp_path: Path) -> None:
    (tmp_path / "domains.csv").write_text("file,look,by\na.png,A,eye\nb.png,B,probe\nc.png,,eye\n")
    domains = read_domains(tmp_path / "domains.csv")
    paths = pd.Series(["x/b.png", "y/z/a.png"], index=[7, 3])
    assert domains_of(paths, domains).to_dict() == {7: "B", 3: "A"}
    for unknown in ("d.png", "c.png"):
        with pytest.raises(DatasetError, match=f"{unknown}: its acquisition domain is not known"):
            domains_of(pd.Series([unknown]), domains)
    with pytest.raises(DatasetError, match=r"domains\.csv"):
        read_domains(tmp_path / "absent-domains.csv")
