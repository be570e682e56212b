import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_convert import conversion
from cxr_edge_convert.conversion import convert_run
from cxr_edge_convert.limits import Limits
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_train.runs import read_dataset, read_run

LOOSE = Limits(max_recall_drop=1.0, max_specificity_drop=1.0)
# A drop is never below -1, so nothing passes.
IMPOSSIBLE = Limits(max_recall_drop=-2.0)


@pytest.fixture(scope="module")
def converted(tiny_road: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("bundles") / "out"
    convert_run(tiny_road.run, output, int8=True, limits=LOOSE, cache_dir=tiny_road.cache)
    return output


def test_both_variants_and_the_report_are_written(converted: Path) -> None:
    names = {path.relative_to(converted).as_posix() for path in converted.rglob("*.*")}
    bundle = {"bundle.json", "bundle.json.sha256", "model.tflite", "MODEL_CARD.md"}
    assert names == {
        *(f"float32/{name}" for name in bundle),
        *(f"int8/{name}" for name in bundle),
        "report.json",
        "report.md",
    }


def test_manifest_carries_what_was_frozen(converted: Path, tiny_road: Any) -> None:
    run = read_run(tiny_road.run)
    for variant in ("float32", "int8"):
        manifest = Bundle.load(converted / variant).manifest
        assert manifest.threshold.value == run.threshold
        assert manifest.temperature == run.temperature
        assert manifest.training.dataset_digest == run.dataset_digest
        assert "[augmentation]" in manifest.training.recipe
        assert set(manifest.metrics) == {"validation"}
    assert Bundle.load(converted / "float32").manifest.calibration is None
    calibration = Bundle.load(converted / "int8").manifest.calibration
    assert calibration is not None
    assert (calibration.count, calibration.seed) == (300, 0)


def test_float32_agrees_with_keras(converted: Path) -> None:
    report = json.loads((converted / "report.json").read_text())
    assert report["variants"]["float32"]["agreement"] == 1.0
    assert report["variants"]["float32"]["max_logit_difference"] < 1e-3


def test_report_has_the_figures_of_both(converted: Path) -> None:
    text = (converted / "report.md").read_text()
    assert "Research use only. Not a medical device." in text
    assert "| float32 |" in text
    assert "| int8 |" in text


def test_same_run_and_seed_give_the_same_bytes(
    converted: Path, tiny_road: Any, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    convert_run(tiny_road.run, again, int8=True, limits=LOOSE, cache_dir=tiny_road.cache)
    files = sorted(path for path in converted.rglob("*") if path.is_file())
    assert len(files) == 10
    for path in files:
        assert path.read_bytes() == (again / path.relative_to(converted)).read_bytes(), path


def test_what_falls_short_lies_under_rejected(tiny_road: Any, tmp_path: Path) -> None:
    output = tmp_path / "out"
    variants = convert_run(
        tiny_road.run, output, int8=False, limits=IMPOSSIBLE, cache_dir=tiny_road.cache
    )
    assert not variants[0].verification.passed
    assert not (output / "float32").exists()
    assert Bundle.load(output / "rejected" / "float32").manifest.name == "tiny-float32"
    assert "recall fell by" in (output / "report.md").read_text()


def test_existing_output_is_refused_before_any_work(converted: Path, tiny_road: Any) -> None:
    with pytest.raises(InvalidRequest, match="exists already"):
        convert_run(tiny_road.run, converted, int8=False, limits=LOOSE, cache_dir=tiny_road.cache)


def test_failure_leaves_nothing_half_written(
    tiny_road: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "write_report", fail)
    with pytest.raises(KeyboardInterrupt):
        convert_run(
            tiny_road.run, tmp_path / "out", int8=False, limits=LOOSE, cache_dir=tiny_road.cache
        )
    assert list(tmp_path.iterdir()) == []


def test_corrupted_model_is_named(tiny_road: Any, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_road.run, tmp_path / "run"))
    (run / "model.keras").write_bytes(b"PK broken")
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded"):
        convert_run(run, tmp_path / "out", int8=False, limits=LOOSE, cache_dir=tiny_road.cache)


def test_calibration_and_validation_share_no_patient(tiny_road: Any) -> None:
    table = read_dataset(tiny_road.run)
    chosen = conversion.choose_calibration_images(table, count=300, seed=0)
    validation = table[table["split"] == "validation"]
    assert set(chosen["patient"]).isdisjoint(validation["patient"])
