import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cxr_edge_convert.conversion import Settings, make_variants
from cxr_edge_convert.packaging import package
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import wanted_schemes
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import RunError
from cxr_edge_train.runs import read_run
from scripts import load_script
from tiny_model import tiny_model

FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}
PARITY = {
    "images": 10,
    "same_decision": 9,
    "mean_probability_shift": 0.01,
    "largest_probability_shift": 0.2,
}


@pytest.fixture(scope="module")
def publish() -> ModuleType:
    return load_script("models/publish.py")


@pytest.fixture(scope="module")
def bundle(tiny_source: Source, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("publish") / "float32"
    schemes = wanted_schemes(formats=["tflite"], quantizations=[], target="x86")
    [variant] = make_variants(tiny_source, Settings(tuple(schemes)))
    package(
        folder,
        variant.model,
        tiny_source,
        variant.scheme,
        metrics=variant.verification.metrics,
        failures=[],
        refit=None,
        calibration=None,
        equipment=variant.equipment,
    )
    return Bundle.load(folder)


@pytest.fixture
def reading(bundle: Bundle) -> dict[str, Any]:
    return {
        "date": "2026-01-02",
        "model_sha256": bundle.manifest.files["model.tflite"].sha256,
        "threshold": bundle.manifest.threshold.value,
        "metrics": dict.fromkeys(bundle.manifest.metrics["validation"], FIGURE),
    }


def test_published_bundle_has_the_test_figures_and_the_same_model(
    publish: ModuleType, bundle: Bundle, reading: dict[str, Any], tmp_path: Path
) -> None:
    target = tmp_path / "shipped"
    parity = PARITY | {"model_sha256": reading["model_sha256"]}
    for _ in range(2):  # the second replaces the first
        publish.publish(bundle, reading, parity, target)
    shipped = Bundle.load(target)
    assert shipped.model == bundle.model
    for name in ("gate.npz", "selftest.npz"):
        assert shipped.read(name) == bundle.read(name)
    assert shipped.manifest.threshold == bundle.manifest.threshold
    assert shipped.manifest.metrics["test"]["auc"].value == 0.9
    card = (target / "MODEL_CARD.md").read_text()
    assert "| test | specificity | 0.900 | 0.800–0.950 | 40 |" in card
    assert "read once for this model, on 2026-01-02" in card
    assert "**9**" in card
    assert "CC BY 4.0" in card
    assert list(tmp_path.iterdir()) == [target]


def test_reading_of_the_first_version_has_fewer_figures(
    publish: ModuleType, bundle: Bundle, reading: dict[str, Any], tmp_path: Path
) -> None:
    first = dict.fromkeys(("accuracy", "auc", "sensitivity", "specificity"), FIGURE)
    parity = PARITY | {"model_sha256": reading["model_sha256"]}
    publish.publish(bundle, reading | {"metrics": first}, parity, tmp_path / "shipped")
    shipped = Bundle.load(tmp_path / "shipped").manifest
    assert set(shipped.metrics["test"]) == set(first)
    assert "brier" in shipped.metrics["validation"]


def test_figures_of_another_bundle_are_refused(
    publish: ModuleType, bundle: Bundle, reading: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="at another threshold"):
        publish.publish(bundle, reading | {"threshold": 0.123}, PARITY, tmp_path / "x")
    with pytest.raises(RunError, match="of another model"):
        publish.publish(bundle, reading, PARITY | {"model_sha256": "0"}, tmp_path / "x")


@pytest.mark.parametrize(("count", "message"), [(0, "no reading"), (2, "2 readings")])
def test_test_is_read_once(publish: ModuleType, tmp_path: Path, count: int, message: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text((json.dumps({"model_sha256": "a"}) + "\n") * count)
    with pytest.raises(RunError, match=message):
        publish.only_reading(log, "a")


def test_same_float_model_is_not_written_again(publish: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "tiny.keras"
    publish.save_float(tiny_model(), file)
    first = file.stat().st_mtime_ns
    publish.save_float(tiny_model(), file)
    assert file.stat().st_mtime_ns == first
    publish.save_float(tiny_model(seed=1), file)
    assert file.stat().st_mtime_ns > first


def test_run_of_another_bundle_is_refused(
    publish: ModuleType, bundle: Bundle, tiny_road: Any
) -> None:
    import dataclasses

    run = read_run(tiny_road.run)
    publish.check_run(bundle, run)
    with pytest.raises(RunError, match="was not made from this run"):
        publish.check_run(bundle, dataclasses.replace(run, threshold=0.123))
