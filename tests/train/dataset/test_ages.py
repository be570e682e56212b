import math

import pytest

from cxr_edge_train.dataset.ages import age_text


@pytest.mark.parametrize(
    ("stated", "years"),
    [
        ("062Y", "62"), ("006M", "0.5"), ("010D", "0"), ("62", "62"), (" 62.541 ", "62.54"),
        ("17.96", "17.96"),
        (0.0, "0"), (7.0, "7"), ("", ""), ("?", ""), ("-3", ""), ("nan", ""), ("999", ""),
        ("6_2", ""), ("1e1", ""),
        (math.nan, ""), (None, ""),
    ],
)  # fmt: skip
def test_age_is_in_years_or_empty(stated: str | float | None, years: str) -> None:
    assert age_text(stated) == years
