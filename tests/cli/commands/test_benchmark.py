import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime import benchmarking


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "_ENOUGH_S", 0.0)


def test_table_has_every_part(
    cxr_edge: Any, golden_bundle: Path, make_image: Callable[..., Path]
) -> None:
    outcome = cxr_edge("benchmark", make_image(), "--bundle", golden_bundle)
    assert outcome.code == 0, outcome.err
    for words in (
        "tiny-int8, ai-edge-litert, ",
        "threads  load ms  first ms   p50 ms   p95 ms   p99 ms  peak MB",
        "one at a time, 1 given",
        "decode ",
        "preprocess ",
        "invoke ",
        "films a second, peak ",
        "Research use only. Not a medical device.",
    ):
        assert words in outcome.out


def test_json_without_an_image_measures_a_drawn_film(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("benchmark", "--json", "--bundle", golden_bundle)
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert found["films"] == "drawn"
    assert set(found["stages_ms"]) == {"decode", "preprocess", "invoke", "all"}
    assert found["throughput"]["workers"] == found["cores"]
    assert found["inference"][0]["threads"] == 1
    assert set(found["device"]) == {"before", "after"}
    assert found["notice"] == "Research use only. Not a medical device."


def test_image_that_is_not_there_is_one_line(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("benchmark", "gone.jpeg", "--bundle", golden_bundle)
    assert outcome.code == 1
    assert outcome.err.splitlines() == ["cxr-edge: gone.jpeg: no such file"]
