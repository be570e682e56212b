import sys
from pathlib import Path

import pytest

import cxr_edge.bundles.smoke_test
import cxr_edge_models
import damaged_models
from cxr_edge.bundles.smoke_test import run_smoke_test
from cxr_edge_runtime.errors import InstallationError, LimitMissed
from installable import make_bundle


def test_shipped_bundle_passes() -> None:
    run_smoke_test(cxr_edge_models.path("tiny"))


def test_device_that_computes_something_else_misses_the_limit(
    golden_bundle: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(golden_bundle, tmp_path / "b", version="1", shift=0.2)
    with pytest.raises(LimitMissed, match=r"^2 of 2 golden films differ"):
        run_smoke_test(bundle.path)


def test_bundle_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match="no bundle here"):
        run_smoke_test(tmp_path)


def test_model_made_to_crash_the_engine_is_survived(golden_bundle: Path, tmp_path: Path) -> None:
    bundle = make_bundle(golden_bundle, tmp_path / "b", version="1")
    model = damaged_models.repacked(bundle.model, damaged_models.missing_operand)
    crashes = damaged_models.bundle_with(bundle, model, tmp_path / "crashes")
    # A signal or a message, as what lies in the memory that the engine reads beyond the tensors.
    with pytest.raises(InstallationError, match=r"signal|cannot load the model"):
        run_smoke_test(crashes)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.abort()", r"verify was terminated by signal 6 \(Aborted\)"),
        ("raise SystemExit(3)", "verify ended with exit status 3"),
        ("import time; time.sleep(60)", "verify did not end within 1 seconds"),
    ],
)
def test_engine_that_crashes_or_hangs_is_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{program}'\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(cxr_edge.bundles.smoke_test, "_MOST_SECONDS", 1)
    with pytest.raises(InstallationError, match=message):
        run_smoke_test(tmp_path)
