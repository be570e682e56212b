import time
from pathlib import Path
from typing import Any

import pytest

import damaged_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.device import inference_timing
from cxr_edge_runtime.device.inference_timing import measure
from cxr_edge_runtime.errors import EngineError
from locators import located_bundle


def test_each_number_of_threads_is_measured_in_a_process_of_its_own(golden_bundle: Path) -> None:
    # Memory that this process holds must not be counted.
    held = bytearray(300 * 2**20)
    timings = measure(golden_bundle, threads=(1, 2))
    assert [timing.threads for timing in timings] == [1, 2]
    for timing in timings:
        assert 0 < timing.p50_ms <= timing.p95_ms <= timing.p99_ms
        assert timing.first_ms > 0
        assert timing.load_ms > 0
        assert 10 < timing.peak_memory_mb < 250
    del held


def test_an_inference_is_that_of_the_locator_and_of_the_model(
    golden_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        def lungs(self, pixels: Any) -> None:
            assert pixels.shape == (128, 128)
            time.sleep(0.02)

    monkeypatch.setattr(inference_timing, "open_locator", lambda *_, **__: Slow())
    assert inference_timing._measure_here(golden_bundle, 1, None)["p50_ms"] > 20
    monkeypatch.undo()
    [timing] = measure(located_bundle(tmp_path / "located"), threads=[1])
    assert timing.p50_ms > 0


def test_bundle_that_cannot_be_run_is_one_clear_error(tmp_path: Path, golden_bundle: Path) -> None:
    with pytest.raises(EngineError, match="cannot be measured"):
        measure(tmp_path, threads=[1])
    with pytest.raises(EngineError, match="cannot be measured"):
        measure(golden_bundle, threads=[1], engine="onnxruntime")


def test_what_lies_in_the_current_folder_is_not_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, golden_bundle: Path
) -> None:
    (tmp_path / "resource.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    [timing] = measure(golden_bundle, threads=[1])
    assert timing.p50_ms > 0


def test_process_that_crashes_is_said(golden_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(golden_bundle)
    model = damaged_models.repacked(bundle.model, damaged_models.missing_operand)
    crashes = damaged_models.bundle_with(bundle, model, tmp_path / "crashes")
    with pytest.raises(EngineError, match=r"cannot be measured \(.+\)$"):
        measure(crashes, threads=[1])
