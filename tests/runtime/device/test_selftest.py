from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.arrays import pack_arrays
from cxr_edge_runtime.bundle.manifest import MAX_BYTES, SELFTEST_FILE
from cxr_edge_runtime.device.selftest import (
    MAX_SHIFT,
    GoldenInputs,
    Outcome,
    require_golden_inputs,
    run_selftest,
)
from cxr_edge_runtime.engines import Outputs, open_engine
from cxr_edge_runtime.errors import BundleInvalid


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))


class _Shifted:
    """An engine whose logits lie a little higher than those of a healthy one."""

    name, kernels = "shifted", "none"

    def __init__(self, bundle: Bundle, shift: float) -> None:
        self._engine, self._shift = open_engine(bundle), shift

    def run(self, image: np.ndarray) -> Outputs:
        outputs = self._engine.run(image)
        return outputs | {"logit": outputs["logit"] + np.float32(self._shift)}


def test_shipped_bundle_passes_here_and_has_an_input_on_each_side_near_the_threshold(
    shipped: Bundle,
) -> None:
    golden, outcomes = run_selftest(shipped, open_engine(shipped))
    assert all(outcome.passed for outcome in outcomes)
    assert "ai-edge-litert" in golden.made_with
    away = golden.probabilities - shipped.manifest.threshold.value
    # Above a threshold of 0.95 there is less room, and a probability moves by less.
    assert 0.02 < away[away > 0].min() < 0.2
    assert MAX_SHIFT < -away[away < 0].max() < 0.2
    assert golden.probabilities.min() < 0.1
    assert golden.probabilities.max() > 0.9


def test_device_that_computes_something_else_fails(shipped: Bundle) -> None:
    _, outcomes = run_selftest(shipped, _Shifted(shipped, 0.5))
    assert not all(outcome.passed for outcome in outcomes)
    _, outcomes = run_selftest(shipped, _Shifted(shipped, -3.0))
    assert not all(outcome.same_decision for outcome in outcomes)
    _, outcomes = run_selftest(shipped, _Shifted(shipped, 0.05))
    assert all(outcome.passed for outcome in outcomes)


def test_neither_a_large_shift_nor_another_decision_passes() -> None:
    assert Outcome(expected=0.5, computed=0.549, same_decision=True).passed
    assert not Outcome(expected=0.5, computed=0.551, same_decision=True).passed
    assert not Outcome(expected=0.5, computed=0.501, same_decision=False).passed


def test_bundle_without_golden_inputs_says_what_to_do(golden_bundle: Path) -> None:
    bundle = Bundle.load(golden_bundle)
    with pytest.raises(BundleInvalid, match=r"has no golden inputs .*convert the model again"):
        run_selftest(bundle, open_engine(bundle))


def test_golden_inputs_are_asked_of_the_manifest_alone(
    shipped: Bundle, golden_bundle: Path
) -> None:
    require_golden_inputs(shipped.manifest, name="shipped")
    with pytest.raises(BundleInvalid, match=r"^old: has no golden inputs \(selftest\.npz\)"):
        require_golden_inputs(Bundle.load(golden_bundle).manifest, name="old")


def test_inputs_of_another_size_are_refused(shipped: Bundle, tmp_path: Path) -> None:
    golden = GoldenInputs(np.zeros((1, 8, 8), np.uint8), np.zeros(1, np.float32), "")
    contents = {name: shipped.read(name) for name in shipped.manifest.files}
    contents[SELFTEST_FILE] = golden.to_bytes()
    manifest = replace(shipped.manifest, files=describe_files(contents))
    write_bundle(tmp_path / "other", manifest, contents)
    other = Bundle.load(tmp_path / "other")
    with pytest.raises(BundleInvalid, match=r"inputs of \(8, 8\), not \(160, 160\)"):
        run_selftest(other, open_engine(shipped))


def test_golden_inputs_come_back_the_same() -> None:
    golden = GoldenInputs(
        np.arange(32, dtype=np.uint8).reshape(2, 4, 4), np.array([0.1, 0.9], np.float32), "é 1.0"
    )
    again = GoldenInputs.from_bytes(golden.to_bytes())
    assert again.made_with == "é 1.0"
    assert np.array_equal(again.inputs, golden.inputs)
    assert np.array_equal(again.probabilities, golden.probabilities)
    assert golden.to_bytes() == again.to_bytes()


@pytest.mark.parametrize(
    "arrays",
    [
        {"inputs": np.zeros((2, 4, 4), np.float32)},
        {"inputs": np.zeros((4, 4), np.uint8)},
        {"probabilities": np.zeros(3, np.float32)},
    ],
)
def test_arrays_of_other_types_or_shapes_are_refused(arrays: dict[str, np.ndarray]) -> None:
    good = {
        "inputs": np.zeros((2, 4, 4), np.uint8),
        "probabilities": np.zeros(2, np.float32),
        "made_with": np.zeros(0, np.uint8),
    }
    GoldenInputs.from_bytes(pack_arrays(good))
    with pytest.raises(BundleInvalid, match="not golden inputs"):
        GoldenInputs.from_bytes(pack_arrays(good | arrays))


def test_archive_beyond_the_limit_is_refused() -> None:
    arrays = {"inputs": np.zeros((1, MAX_BYTES[SELFTEST_FILE], 1), np.uint8)}
    with pytest.raises(BundleInvalid, match="unpacks to"):
        GoldenInputs.from_bytes(pack_arrays(arrays))


def test_archive_without_inputs_is_refused() -> None:
    empty = GoldenInputs(np.zeros((0, 4, 4), np.uint8), np.zeros(0, np.float32), "here")
    with pytest.raises(BundleInvalid, match="no golden inputs"):
        GoldenInputs.from_bytes(empty.to_bytes())
