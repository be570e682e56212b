"""A table of metadata without files, and figures with few films, which are drawn fast."""

from collections.abc import Callable

import pandas as pd
import pytest

from cxr_edge_train.eda import films

Rows = Callable[..., pd.DataFrame]


@pytest.fixture(autouse=True)
def few_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the command draws the grids as users see them."""
    for name, number in (("SAMPLES", 5), ("_AUGMENTED", 1), ("_VERSIONS", 2)):
        monkeypatch.setattr(films, name, number)


@pytest.fixture
def rows() -> Rows:
    """Make rows from tuples ``(split, label, patient)``, and columns that all share or list."""

    def make(*entries: tuple[str, str, str], **columns: object) -> pd.DataFrame:
        table = pd.DataFrame(entries, columns=["split", "label", "patient"])
        table["path"] = [f"{i}.png" for i in range(len(table))]
        table["kind"] = ["normal" if label == "NORMAL" else "virus" for label in table["label"]]
        return table.assign(**{"width": 100, "height": 80, **columns})

    return make
