import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import card_figures
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import RunError


def test_operating_points_are_chosen_on_validation_and_counted_on_both() -> None:
    labels = ["NORMAL"] * 20 + ["PNEUMONIA"] * 20
    validation = pd.DataFrame({"label": labels, "probability": [n / 40 for n in range(40)]})
    validation.loc[[18, 19], "probability"] = 0.99  # of 20 normals these look worst
    test = validation.assign(probability=validation["probability"] - 0.1)
    points = card_figures.operating_points(validation, test, shipped=0.6)
    rules = {rule: point for point in points for rule in point["rule"].split(", ")}
    assert set(rules) == {
        "shipped", *(f"specificity {wanted:.2f}" for wanted in card_figures.SPECIFICITIES),
        *(f"sensitivity {wanted:.2f}" for wanted in card_figures.SENSITIVITIES),
    }  # fmt: skip
    thresholds = [point["threshold"] for point in points]
    assert thresholds == sorted(set(thresholds))
    assert rules["shipped"]["threshold"] == 0.6
    for wanted in card_figures.SPECIFICITIES:
        reached = rules[f"specificity {wanted:.2f}"]["validation"]["specificity"]["value"]
        assert reached >= wanted
    for wanted in card_figures.SENSITIVITIES:
        reached = rules[f"sensitivity {wanted:.2f}"]["validation"]["sensitivity"]["value"]
        assert reached >= wanted
    for point in points:
        for split, films in (("validation", validation), ("test", test)):
            called = films["probability"] >= point["threshold"]
            normal = films["label"] == "NORMAL"
            assert point[split]["specificity"]["value"] == pytest.approx((~called[normal]).mean())
            assert point[split]["sensitivity"]["value"] == pytest.approx(called[~normal].mean())


def test_curve_of_test_is_read_off_test_alone() -> None:
    # Of 20 normal films 3 lie above some of the 10 pneumonias.
    normal = [*np.linspace(0.01, 0.4, 17), 0.55, 0.65, 0.75]
    pneumonia = [0.5, 0.6, 0.7, *np.linspace(0.8, 0.99, 7)]
    films = pd.DataFrame(
        {"label": ["NORMAL"] * 20 + ["PNEUMONIA"] * 10, "probability": [*normal, *pneumonia]}
    )
    found = {p["specificity"]: p["sensitivity"]["value"] for p in card_figures.test_curve(films)}
    assert found == {0.80: 1.0, 0.85: 1.0, 0.90: 0.9, 0.95: 0.8, 0.98: 0.7}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("test/evaluation.json", {"threshold": 0.123}, "test was measured at another threshold"),
        ("parity.json", {"model_sha256": "0"}, "parity belongs to another model"),
        ("behaviour/behaviour.json", {"model_sha256": "0"}, "behaviour belongs to another model"),
        ("test/evaluation.json", {"metrics": {}}, "not in the log"),
    ],
)
def test_figures_of_another_bundle_are_refused(
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
        card_figures.gathered(bundle, run, measured, log)


def test_what_was_not_measured_is_named(
    bundle: Bundle, run: Path, measured: Path, log: list[str]
) -> None:
    (measured / "parity.json").unlink()
    with pytest.raises(RunError, match=r"parity\.json: missing"):
        card_figures.gathered(bundle, run, measured, log)


def test_test_is_read_once(bundle: Bundle, run: Path, measured: Path, log: list[str]) -> None:
    with pytest.raises(RunError, match="2 readings"):
        card_figures.gathered(bundle, run, measured, [*log, log[0]])
    with pytest.raises(RunError, match="not in the log"):
        card_figures.gathered(bundle, run, measured, [])
