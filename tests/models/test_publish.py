import dataclasses
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr_edge_convert.card import EVALUATION, EXAMINATION, HEADINGS, IMPACT, TRAINING
from cxr_edge_convert.conversion import make_variants
from cxr_edge_convert.packaging import package
from cxr_edge_convert.settings import Settings
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
    "rejected": 0,
}
CHANGED = {
    "mean_probability_shift": 0.04,
    "decisions_changed": 0.05,
    "auc": 0.97,
    "NORMAL": {"shift": 0.03, "right": 0.91},
    "PNEUMONIA": {"shift": -0.02, "right": 0.88},
}
BEHAVIOUR = {
    "films": {"NORMAL": 20, "PNEUMONIA": 20},
    "shortcuts": {"corners blacked out": CHANGED},
    "activation_maps": {
        "cells": [5, 5],
        "box_share_of_area": 0.6,
        "right": {"films": 10, "mean_share_in_box": 0.8},
        "missed": {"films": 3, "mean_share_in_box": 0.5},
    },
}
SHIFTED = dict.fromkeys(("auc", "sensitivity", "specificity"), FIGURE) | {
    "films_by_look": {"NORMAL": {"A": 18, "B": 2}, "PNEUMONIA": {"A": 5, "B": 15}}
}
VERIFICATION = {"recall_drop": 0.001, "specificity_drop": 0.0, "auc_drop": 0.0, "agreement": 0.995}
TRAINED = {"seconds": 600.0, "devices": "cpu:0, float32"}
DIGESTS = {"test": "7e57", "external_adult": "ad017"}


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
    sha256 = Bundle.load(folder).manifest.files["model.tflite"].sha256
    report = {"variants": [{"sha256": sha256, "verification": VERIFICATION}]}
    (folder.parent / "report.json").write_text(json.dumps(report))
    return Bundle.load(folder)


@pytest.fixture
def run(tmp_path: Path, tiny_road: Any) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(tiny_road.run, folder)
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | TRAINED))
    return folder


@pytest.fixture
def measured(bundle: Bundle, tmp_path: Path) -> Path:
    """What models/measure and two readings of test labels leave."""
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


def test_published_bundle_has_all_figures_and_the_same_model(
    publish: ModuleType, bundle: Bundle, run: Path, measured: Path, log: list[str], tmp_path: Path
) -> None:
    figures = publish.gathered(bundle, run, measured, log)
    target = tmp_path / "shipped" / "small"
    target.parent.mkdir()
    for _ in range(2):  # the second replaces the first
        publish.publish(bundle, "small", figures, target)
    shipped = Bundle.load(target)
    assert shipped.manifest.name == "small"
    assert shipped.model == bundle.model
    for name in ("gate.npz", "selftest.npz"):
        assert shipped.read(name) == bundle.read(name)
    assert shipped.manifest.threshold == bundle.manifest.threshold
    assert shipped.manifest.metrics["test"]["auc"].value == 0.8
    assert shipped.manifest.metrics["external_adult"]["auc"].value == 0.81
    card = (target / "MODEL_CARD.md").read_text()
    assert "| test | specificity | 0.900 | 0.800–0.950 | 40 |" in card
    assert "read once for this model, on 2026-01-02" in card
    assert "**9**" in card
    assert "CC BY 4.0" in card
    assert [line[3:] for line in card.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert list(target.parent.iterdir()) == [target]


def test_card_says_what_was_measured(
    bundle: Bundle, run: Path, measured: Path, log: list[str], publish: ModuleType
) -> None:
    figures = publish.gathered(bundle, run, measured, log)
    sections = load_script("models/card_sections.py").shipped_sections("small", figures)
    assert "| virus | 0.900 [0.800, 0.950] | 0.900 [0.800, 0.950] |" in sections[EVALUATION]
    assert "AUC\n0.810 [0.800, 0.950]" in sections[EVALUATION]
    assert "decides alike on 99.50%" in sections[EVALUATION]
    assert "docs/results/cards/small/calibration.png" in sections[EVALUATION]
    assert "Films by look: NORMAL A 18, B 2; PNEUMONIA A 5, B 15." in sections[EVALUATION]
    assert (
        "40 normal films a specificity of\n0.90 has the interval 0.77 to 0.96"
        in sections[EVALUATION]
    )
    changed = "| corners blacked out | 0.040 | +0.030 | 91.0% | -0.020 | 88.0% | 0.970 |"
    assert changed in sections[EXAMINATION]
    assert "80% in right decisions (10), 50% in missed pneumonias (3);" in sections[EXAMINATION]
    assert "Fitted in 10 minutes on cpu:0" in sections[IMPACT]
    # The tiny data set's run: what it was fitted on, and how.
    train = figures["training"]["films"]["train"]["normal"]
    assert f"| train, normal | {train['films']:,} | {train['patients']:,} |" in sections[TRAINING]
    assert 0 < train["patients"] <= train["films"]
    assert "2 epochs" in sections[TRAINING]
    assert "Fitted to the labels." in sections[TRAINING]


def test_card_of_a_student_says_who_taught_it(
    bundle: Bundle, run: Path, measured: Path, log: list[str], publish: ModuleType
) -> None:
    figures = publish.gathered(bundle, run, measured, log)
    figures["training"]["recipe"]["fit"]["teachers"] = 3
    sections = load_script("models/card_sections.py").shipped_sections("small", figures)
    assert "3 networks were fitted first" in sections[TRAINING]


def test_operating_points_are_chosen_on_validation_and_counted_on_both(
    publish: ModuleType,
) -> None:
    labels = ["NORMAL"] * 20 + ["PNEUMONIA"] * 20
    validation = pd.DataFrame({"label": labels, "probability": [n / 40 for n in range(40)]})
    validation.loc[[18, 19], "probability"] = 0.99  # of 20 normals these look worst
    test = validation.assign(probability=validation["probability"] - 0.1)
    points = publish.operating_points(validation, test, shipped=0.6)
    rules = {rule: point for point in points for rule in point["rule"].split(", ")}
    assert set(rules) == {
        "shipped", *(f"specificity {wanted:.2f}" for wanted in publish.SPECIFICITIES),
        *(f"sensitivity {wanted:.2f}" for wanted in publish.SENSITIVITIES),
    }  # fmt: skip
    thresholds = [point["threshold"] for point in points]
    assert thresholds == sorted(set(thresholds))
    assert rules["shipped"]["threshold"] == 0.6
    for wanted in publish.SPECIFICITIES:
        reached = rules[f"specificity {wanted:.2f}"]["validation"]["specificity"]["value"]
        assert reached >= wanted
    for wanted in publish.SENSITIVITIES:
        reached = rules[f"sensitivity {wanted:.2f}"]["validation"]["sensitivity"]["value"]
        assert reached >= wanted
    for point in points:
        for split, films in (("validation", validation), ("test", test)):
            called = films["probability"] >= point["threshold"]
            normal = films["label"] == "NORMAL"
            assert point[split]["specificity"]["value"] == pytest.approx((~called[normal]).mean())
            assert point[split]["sensitivity"]["value"] == pytest.approx(called[~normal].mean())


def test_curve_of_test_is_read_off_test_alone(publish: ModuleType) -> None:
    # Of 20 normal films 3 lie above some of the 10 pneumonias.
    normal = [*np.linspace(0.01, 0.4, 17), 0.55, 0.65, 0.75]
    pneumonia = [0.5, 0.6, 0.7, *np.linspace(0.8, 0.99, 7)]
    films = pd.DataFrame(
        {"label": ["NORMAL"] * 20 + ["PNEUMONIA"] * 10, "probability": [*normal, *pneumonia]}
    )
    found = {p["specificity"]: p["sensitivity"]["value"] for p in publish.test_curve(films)}
    assert found == {0.80: 1.0, 0.85: 1.0, 0.90: 0.9, 0.95: 0.8, 0.98: 0.7}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("test/evaluation.json", {"threshold": 0.123}, "test is at another threshold"),
        ("parity.json", {"model_sha256": "0"}, "parity is of another model"),
        ("behaviour/behaviour.json", {"model_sha256": "0"}, "behaviour is of another model"),
        ("test/evaluation.json", {"metrics": {}}, "not in the log"),
    ],
)
def test_figures_of_another_bundle_are_refused(
    publish: ModuleType,
    bundle: Bundle,
    run: Path,
    measured: Path,
    log: list[str],
    file: str,
    change: dict[str, Any],
    message: str,
) -> None:
    content = json.loads((measured / file).read_text())
    (measured / file).write_text(json.dumps(content | change))
    with pytest.raises(RunError, match=message):
        publish.gathered(bundle, run, measured, log)


def test_what_was_not_measured_is_named(
    publish: ModuleType, bundle: Bundle, run: Path, measured: Path, log: list[str]
) -> None:
    (measured / "parity.json").unlink()
    with pytest.raises(RunError, match=r"parity\.json: missing"):
        publish.gathered(bundle, run, measured, log)


def test_test_is_read_once(
    publish: ModuleType, bundle: Bundle, run: Path, measured: Path, log: list[str]
) -> None:
    with pytest.raises(RunError, match="2 readings"):
        publish.gathered(bundle, run, measured, [*log, log[0]])
    with pytest.raises(RunError, match="not in the log"):
        publish.gathered(bundle, run, measured, [])


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
    run = read_run(tiny_road.run)
    publish.check_run(bundle, run)
    with pytest.raises(RunError, match="was not made from this run"):
        publish.check_run(bundle, dataclasses.replace(run, threshold=0.123))
