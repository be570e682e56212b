import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import SELFTEST_FILE
from cxr_edge_runtime.device.selftest import Answer, GoldenFilms
from cxr_edge_runtime.preprocess import Box


def other_answer(folder: Path, change: Callable[[Answer], Answer], *, place: int = -1) -> Path:
    """A bundle that expects another answer to a golden film than this device computes."""
    shipped = Bundle.load(cxr_edge_models.path(cxr_edge_models.DEFAULT))
    golden = GoldenFilms.from_bytes(shipped.read(SELFTEST_FILE))
    answers = list(golden.answers)
    answers[place] = change(answers[place])
    contents = {name: shipped.read(name) for name in shipped.manifest.files} | {
        SELFTEST_FILE: replace(golden, answers=tuple(answers)).to_bytes()
    }
    manifest = replace(shipped.manifest, files=describe_files(contents))
    write_bundle(folder, manifest, contents)
    return folder


@pytest.fixture
def other_device(tmp_path: Path) -> Path:
    # The model is sure of the first film.
    return other_answer(
        tmp_path / "other", lambda it: replace(it, probability=1 - it.probability), place=0
    )


def test_healthy_device_passes_and_says_what_computed(cxr_edge: Any) -> None:
    outcome = cxr_edge("selftest")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("OK: 13 golden films get the verified answer on this device; ")
    assert lines[1].startswith("here       ai-edge-litert, ")
    assert lines[2].startswith('made with  "ai-edge-litert ')
    assert [line.split()[-1] for line in lines[4:-1]] == ["passed"] * 13
    assert lines[-1] == "Research use only. Not a medical device."


def test_device_that_differs_fails_with_exit_code_4(cxr_edge: Any, other_device: Path) -> None:
    outcome = cxr_edge("selftest", other_device)
    assert outcome.code == 4
    assert outcome.out.startswith("FAILED: 1 of 13 golden films do not get the verified answer on ")
    assert outcome.out.count("FAILED") == 2
    assert "1 of 13 golden films differ by more than 0.1" in outcome.err
    assert "do not use this bundle on this device" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_box_that_differs_fails_and_is_named(cxr_edge: Any, tmp_path: Path) -> None:
    bundle = other_answer(
        tmp_path / "other", lambda last: replace(last, box=Box(0.2, 0.1, 0.9, 0.8))
    )
    outcome = cxr_edge("selftest", bundle)
    assert outcome.code == 4
    assert outcome.out.splitlines()[-2].endswith("  FAILED in the box")
    assert (
        "1 of 13 golden films differ by more than 0.1, in the label, in the verdict or"
        in outcome.err
    )
    found = json.loads(cxr_edge("selftest", "--json", bundle).out)["films"][-1]
    assert found["expected"]["box"] == {"left": 0.2, "top": 0.1, "right": 0.9, "bottom": 0.8}
    assert found["computed"]["box"] is None


def test_json_has_the_same(cxr_edge: Any, other_device: Path) -> None:
    found = json.loads(cxr_edge("selftest", "--json").out)
    assert found["passed"] is True
    assert found["engine"] == "ai-edge-litert"
    assert found["kernels"]
    assert len(found["films"]) == 13
    assert found["largest_shift"] < 0.05
    assert found["notice"] == "Research use only. Not a medical device."
    outcome = cxr_edge("selftest", "--json", other_device)
    assert outcome.code == 4
    found = json.loads(outcome.out)
    assert (found["passed"], found["films"][0]["passed"]) == (False, False)
    assert found["largest_shift"] > 0.9


def test_bundle_without_golden_films_is_one_line(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("selftest", golden_bundle)
    assert outcome.code == 1
    assert "has no golden films" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_engine_is_chosen_by_name(cxr_edge: Any) -> None:
    assert cxr_edge("selftest", "--engine", "ai-edge-litert").code == 0
    outcome = cxr_edge("selftest", "--engine", "onnxruntime")
    assert outcome.code == 1
    assert "onnxruntime does not run tflite models; choose ai-edge-litert" in outcome.err
