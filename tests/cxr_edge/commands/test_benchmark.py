import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.device import DeviceState, benchmark
from cxr_edge_runtime.device import throughput as benchmarking


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarking, "_ENOUGH_S", 0.0)


def test_table_has_every_part(
    cxr_edge: Any, golden_bundle: Path, make_image: Callable[..., Path]
) -> None:
    outcome = cxr_edge("benchmark", golden_bundle, "--images", make_image())
    assert outcome.code == 0, outcome.err
    for words in (
        "tiny-int8, ai-edge-litert, ",
        "threads  load ms  first ms   p50 ms   p95 ms   p99 ms  peak MB",
        "one at a time, 1 given",
        "decode ",
        "preprocess ",
        "invoke ",
        "films per second, peak ",
        "Research use only. Not a medical device.",
    ):
        assert words in outcome.out


def test_json_without_an_image_measures_a_drawn_film(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("benchmark", "--json", golden_bundle)
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert found["films"] == "drawn"
    assert set(found["stages_ms"]) == {"decode", "preprocess", "invoke", "all"}
    assert found["throughput"]["workers"] == found["cores"]
    assert found["inference"][0]["threads"] == 1
    assert set(found["device"]) == {"before", "after"}
    assert found["notice"] == "Research use only. Not a medical device."


def test_image_that_is_not_there_is_one_line(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("benchmark", golden_bundle, "--images", "gone.jpeg")
    assert outcome.code == 1
    assert outcome.err.splitlines() == ["cxr-edge: gone.jpeg: no such file"]


@pytest.mark.parametrize(
    ("slowed", "words"), [(("throttled", "under-voltage"), "throttled, under-voltage"), ((), "no")]
)
def test_what_the_device_tells_of_itself_is_below_the_table(
    cxr_edge: Any,
    golden_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    slowed: tuple[str, ...],
    words: str,
) -> None:
    states = iter(DeviceState("A board", celsius, slowed) for celsius in (40.5, 61.0))
    monkeypatch.setattr(benchmark, "device_state", lambda: next(states))
    lines = cxr_edge("benchmark", golden_bundle).out.splitlines()
    assert lines[-4:-1] == [
        "A board",
        "temperature 40.5 before, 61.0 °C after",
        f"slowed down: {words}",
    ]


def test_device_that_tells_nothing_has_no_lines(
    cxr_edge: Any, golden_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "device_state", lambda: DeviceState(None, None, None))
    lines = cxr_edge("benchmark", golden_bundle).out.splitlines()
    assert "films per second, peak " in lines[-2]
