from pathlib import Path
from typing import Any


def test_list_names_the_shipped_bundles(cxr_edge: Any) -> None:
    outcome = cxr_edge("info", "--list")
    assert outcome.code == 0, outcome.err
    header, row = outcome.out.splitlines()
    assert header.split() == ["name", "version", "format", "quantization", "bytes", "digest"]
    assert row.split()[:4] == ["mobilenetv2-int8", "0.1.0", "tflite", "int8"]


def test_list_takes_no_bundle(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("info", golden_bundle, "--list")
    assert outcome.code == 2
    assert "leave BUNDLE out" in outcome.err


def test_bundle_without_a_gate_says_so(cxr_edge: Any, golden_bundle: Path) -> None:
    assert "no input gate: every image gets an answer" in cxr_edge("info", golden_bundle).out
    assert "input gate" not in cxr_edge("info").out
