"""What all benchmarks share, with made-up times: a test never measures."""

import math
import sys
from argparse import Namespace
from collections.abc import Iterator

import pytest

from scripts import ROOT, load_script

side_by_side = load_script("benchmarks/side_by_side.py")
Finding, ratio = side_by_side.Finding, side_by_side.ratio


def test_ways_alternate_and_results_of_the_warm_up_are_dropped() -> None:
    called: list[str] = []

    def way(name: str) -> int:
        called.append(name)
        return len(called)

    results = side_by_side.in_turn(lambda: way("ours"), lambda: way("theirs"), rounds=2)
    assert called == ["ours", "theirs"] * 3
    assert results == [(3, 4), (5, 6)]


def test_ratio_is_taken_within_each_round() -> None:
    # The machine becomes slower; each round has a ratio of its own.
    found = ratio("work", [(2, 1), (20, 10), (60, 15)], unit="ms", scale=100)
    assert list(found.values) == [2, 2, 4]
    assert str(found) == "work, 2000 against 1000 ms, ratio: 2 (2 to 4, 3 rounds)"


@pytest.mark.parametrize(
    ("limit", "missed"),
    [
        ({}, False),
        ({"at_most": 1.3}, False),
        ({"at_most": 1.2}, True),
        ({"at_least": 1.3}, False),
        ({"at_least": 1.4}, True),
        ({"at_least": 1.0, "at_most": 1.2}, True),
    ],
)
def test_the_median_decides_whether_a_limit_is_missed(
    limit: dict[str, float], missed: bool
) -> None:
    found = Finding("x", [0.1, 1.3, 9.0], **limit)
    assert found.missed is missed
    assert ("MISSED" in str(found)) is missed


def test_what_is_not_a_number_misses_every_limit() -> None:
    assert Finding("x", [math.nan], at_most=1).missed
    assert Finding("x", [math.nan], at_least=1).missed


def test_line_has_median_range_and_limit() -> None:
    assert str(Finding("memory", [3.0, 1.0, 2.0], "MB", at_most=5)) == (
        "memory: 2 MB (1 to 3, 3 rounds); at most 5 wanted"
    )
    assert str(Finding("share", [0.004])) == "share: 0.004"


def test_exit_code_is_1_after_one_miss_and_all_findings_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    findings = [Finding("a", [2], at_most=1), "a remark", Finding("b", [2], at_least=1)]
    assert side_by_side.report(findings) == 1
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "a",
        "a remark",
        "b",
    ]
    assert side_by_side.report(findings[1:]) == 0


def test_benchmark_gets_its_options_and_ends_with_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def benchmark(options: Namespace) -> Iterator[object]:
        yield Finding("rounds", [options.rounds], at_most=5)

    parser = side_by_side.arguments("What it measures.", "folder", rounds=5)
    for words, code in ((["films"], 0), (["films", "--rounds", "6"], 1)):
        monkeypatch.setattr(sys, "argv", ["benchmark", *words])
        with pytest.raises(SystemExit) as ended:
            side_by_side.run(benchmark, parser)
        assert ended.value.code == code


def test_process_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match=r"^failed: "):
        side_by_side.process([sys.executable, "-c", "raise SystemExit(3)"])
    measured = side_by_side.process([sys.executable, "-c", ""])
    assert measured.seconds > 0
    assert measured.peak_mib > 1


def test_every_benchmark_of_cxr_edge_measures_by_the_same_core() -> None:
    shared = {"side_by_side.py", "classification.py"}
    for script in (ROOT / "benchmarks").glob("*.py"):
        source = script.read_text(encoding="utf-8")
        if script.name not in shared:
            assert "from benchmarks.side_by_side import" in source, script.name
            assert "ArgumentParser" not in source, script.name
            assert "print(" not in source, script.name
