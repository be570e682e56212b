"""A bundle of the tiny run, and all that its card is made from, measured and made up."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge_runtime.bundle import Bundle

FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}
PARITY = {
    "images": 10,
    "same_decision": 9,
    "mean_probability_shift": 0.01,
    "largest_probability_shift": 0.2,
    "rejected": 0,
}
CHANGED = {
    "mean_probability_shift": 0.04,
    "decisions_changed": 0.05,
    "auc": 0.97,
    "sensitivity": FIGURE,
    "specificity": FIGURE,
    "shift": {"NORMAL": 0.03, "PNEUMONIA": -0.02},
}
BEHAVIOUR = {
    "films": {"NORMAL": 20, "PNEUMONIA": 20},
    "changes": {"corners blacked out": CHANGED},
    "framing": {
        "auc_of_height_in_film": 0.9,
        "auc_of_height_in_view": 0.9,
        "decisions_changed_by_true_box": None,
    },
    "activation_maps": {
        "cells": [5, 5],
        "right": {"films": 10, "maps": 0.8, "even": 0.3, "blob": 0.6},
        "missed": {"films": 3, "maps": 0.5, "even": 0.3, "blob": 0.4},
    },
}
GATE = {
    "validation films": {"accepted": 38, "suspicious": 2, "rejected": 0, "reasons": {}},
    "adults": {"accepted": 5, "suspicious": 1, "rejected": 4, "reasons": {}},
}
SHIFTED = dict.fromkeys(("auc", "sensitivity", "specificity"), FIGURE) | {
    "by_look": {
        "A": {"sensitivity": FIGURE, "specificity": FIGURE},
        "B": {"sensitivity": FIGURE, "specificity": None},
    },
    "auc_within_look": {"A": 0.875, "B": None},
    "films_by_look": {"NORMAL": {"A": 18, "B": 2}, "PNEUMONIA": {"A": 5, "B": 15}},
}
VERIFICATION = {"recall_drop": 0.001, "specificity_drop": 0.0, "auc_drop": 0.0, "agreement": 0.995}
TRAINED = {"seconds": 600.0, "devices": "cpu:0, float32"}
DIGESTS = {"test": "7e57", "external_adult": "ad017"}


@pytest.fixture(scope="session")
def bundle(tiny_source: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from cxr_edge_convert.bundling.packaging import package
    from cxr_edge_convert.conversion import make_variants
    from cxr_edge_convert.limits import Limits
    from cxr_edge_convert.settings import ConversionSettings
    from cxr_edge_convert.variants import wanted_schemes
    from cxr_edge_runtime.bundle.manifest import Ages

    folder = tmp_path_factory.mktemp("publish") / "float32"
    schemes = wanted_schemes(formats=["tflite"], quantizations=[], target="x86")
    [variant] = make_variants(tiny_source, ConversionSettings(tuple(schemes)))
    package(folder, variant, tiny_source, Limits(), Ages(1, 5))
    sha256 = Bundle.load(folder).manifest.files["model.tflite"].sha256
    report = {"variants": [{"sha256": sha256, "verification": VERIFICATION}]}
    (folder.parent / "report.json").write_text(json.dumps(report))
    return Bundle.load(folder)


@pytest.fixture
def run(tmp_path: Path, trained: Any) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(trained.run, folder)
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | TRAINED))
    return folder


@pytest.fixture
def measured(bundle: Bundle, tmp_path: Path) -> Path:
    """What models/release/measure and two readings of test labels leave."""
    folder = tmp_path / "measured"
    of_model = {"model_sha256": bundle.manifest.files["model.tflite"].sha256}
    evaluation = of_model | {
        "threshold": bundle.manifest.threshold.value,
        "n": 40,
        "metrics": dict.fromkeys(bundle.manifest.metrics["validation"], FIGURE),
        "by_kind": {"normal": FIGURE, "virus": FIGURE},
    }
    films = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(40)],
            "label": ["NORMAL"] * 20 + ["PNEUMONIA"] * 20,
            "probability": [number / 40 for number in range(40)],
        }
    )
    for split in ("validation", "test", "external_adult"):
        (folder / split).mkdir(parents=True)
        (folder / split / "evaluation.json").write_text(json.dumps(evaluation))
        films.to_csv(folder / split / "predictions.csv", index=False)
    (folder / "behaviour").mkdir()
    for file, content in (
        ("shifted.json", SHIFTED),
        ("parity.json", PARITY),
        ("gate.json", GATE),
        ("behaviour/behaviour.json", BEHAVIOUR),
    ):
        (folder / file).write_text(json.dumps(of_model | content))
    return folder


@pytest.fixture
def log(measured: Path) -> list[str]:
    # Figures of the two sets differ, as they would, so that each finds its own line.
    lines = []
    for value, (split, digest) in enumerate(DIGESTS.items()):
        file = measured / split / "evaluation.json"
        evaluation = json.loads(file.read_text())
        evaluation["metrics"]["auc"] = FIGURE | {"value": 0.8 + value / 100}
        file.write_text(json.dumps(evaluation))
        reading = {key: evaluation[key] for key in ("model_sha256", "threshold", "metrics")}
        lines.append(json.dumps(reading | {"date": "2026-01-02", "test_digest": digest}))
    return lines
