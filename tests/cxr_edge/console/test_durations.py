from datetime import timedelta

import pytest

from cxr_edge.console.durations import duration, elapsed
from cxr_edge_runtime.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", timedelta(seconds=5)),
        ("0s", timedelta()),
        ("1.5m", timedelta(seconds=90)),
        ("12h", timedelta(hours=12)),
        (" 90d ", timedelta(days=90)),
    ],
)
def test_durations_have_a_unit(text: str, expected: timedelta) -> None:
    assert duration(text, option="--settle", example="5s") == expected


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "1e3s", "nan", "5w", "9" * 20 + "d"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^--settle {text}: give .*such as 5s$"):
        duration(text, option="--settle", example="5s")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.84, "0.8 s"),
        (9.96, "10 s"),
        (46.4, "46 s"),
        (59.6, "1 min 0 s"),
        (146.2, "2 min 26 s"),
        (3700, "1 h 1 min"),
    ],
)
def test_time_is_said_in_words(seconds: float, words: str) -> None:
    assert elapsed(seconds) == words
