"""Gather the figures that the card of a shipped bundle is made from in addition to its manifest."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import RunError
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.metadata import read_table
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.evaluation.metrics import count_decisions
from cxr_edge_train.evaluation.run_subject import load_model
from cxr_edge_train.recipe import recipe_of_run
from cxr_edge_train.runs import read_dataset
from cxr_edge_train.statistics.operating_point import (
    threshold_for_sensitivity,
    threshold_for_specificity,
)

# Splits whose labels are read once: the test set, and adults of another hospital.
READ_ONCE = ("test", "external_adult")
# The card's other operating points have at least these on validation.
SPECIFICITIES = (0.80, 0.85, 0.90, 0.95, 0.98)
SENSITIVITIES = (0.95, 0.90, 0.85)


def only_reading(log: Iterable[str], evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Find the line of the test log that an evaluation on test labels wrote.

    Args:
        log: the lines of the log.
        evaluation: what `evaluate` wrote.

    Raises:
        RunError: there is no such line, or the model was evaluated on these films more than once.
    """
    entries: list[dict[str, Any]] = [json.loads(line) for line in log]
    of_model = [e for e in entries if e["model_sha256"] == evaluation["model_sha256"]]
    same = [e for e in of_model if e["metrics"] == evaluation["metrics"]]
    if not same:
        raise RunError("a reading of test labels is not in the log; evaluate with --log")
    of_films = [e for e in of_model if e["test_digest"] == same[0]["test_digest"]]
    if len(of_films) > 1:
        raise RunError(
            f"{len(of_films)} readings of this model on the same films; test is evaluated once"
        )
    return same[0]


def operating_points(
    validation: pd.DataFrame, test: pd.DataFrame, *, shipped: float
) -> list[dict[str, Any]]:
    """Apply the shipped threshold, and others chosen on validation, to both splits.

    Args:
        validation: ``label`` and ``probability`` of the validation films.
        test: ``label`` and ``probability`` of the test films.
        shipped: the frozen threshold.

    Returns:
        One row for each threshold, from the lowest to the highest: ``rule``, ``threshold``, and
        for both splits ``sensitivity`` and ``specificity``. Rules that choose the same threshold
        share a row.
    """
    probability, labels = validation["probability"].to_numpy(), positives(validation)
    thresholds = {"shipped": shipped}
    for wanted in SPECIFICITIES:
        threshold = threshold_for_specificity(probability, labels, min_specificity=wanted)
        thresholds[f"specificity {wanted:.2f}"] = threshold
    for wanted in SENSITIVITIES:
        threshold = threshold_for_sensitivity(probability, labels, min_sensitivity=wanted)
        thresholds[f"sensitivity {wanted:.2f}"] = threshold
    rules: dict[float, list[str]] = {}
    for rule, threshold in thresholds.items():
        rules.setdefault(threshold, []).append(rule)
    points = []
    for threshold, chosen_by in sorted(rules.items()):
        point_at: dict[str, Any] = {"rule": ", ".join(chosen_by), "threshold": threshold}
        for name, films in (("validation", validation), ("test", test)):
            counts = count_decisions(
                films["probability"].to_numpy(), positives(films), threshold=threshold
            )
            point_at[name] = {
                "sensitivity": asdict(counts.sensitivity),
                "specificity": asdict(counts.specificity),
            }
        points.append(point_at)
    return points


def test_curve(test: pd.DataFrame) -> list[dict[str, Any]]:
    """Compute the highest sensitivity on test at some specificities, all chosen on test itself."""
    labels, probability = positives(test), test["probability"].to_numpy()
    points = []
    for wanted in SPECIFICITIES:
        threshold = threshold_for_specificity(probability, labels, min_specificity=wanted)
        counts = count_decisions(probability, labels, threshold=threshold)
        points.append({"specificity": wanted, "sensitivity": asdict(counts.sensitivity)})
    return points


def films_by_split(dataset: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Count ``films`` and ``patients`` by split and kind."""
    return {
        split: {
            kind: {"films": len(films), "patients": int(patient_groups(films).nunique())}
            for kind, films in of_split.groupby("kind")
        }
        for split, of_split in dataset.groupby("split")
    }


def gathered(bundle: Bundle, run: Path, measured: Path, log: Iterable[str]) -> dict[str, Any]:
    """Read all that the card is made from in addition to the manifest.

    Args:
        bundle: the converted bundle, beside the ``report.json`` of its conversion.
        run: the folder of the training run.
        measured: what models/release/measure and two readings of test labels left.
        log: the lines of the test log.

    Returns:
        ``validation``, ``test`` and ``external_adult`` as `evaluate` wrote them, ``test_date``,
        ``operating_points``, ``test_curve``, ``shifted``, ``parity``, ``behaviour``,
        ``gate``, ``conversion`` and ``training``.

    Raises:
        RunError: something is missing, or was measured for another model.
    """
    sha256 = bundle.manifest.files[bundle.manifest.model.file].sha256
    lines = list(log)
    evaluations = {
        split: _read(measured / split / "evaluation.json") for split in ("validation", *READ_ONCE)
    }
    readings = {split: only_reading(lines, evaluations[split]) for split in READ_ONCE}
    parts = {
        **evaluations,
        "shifted": _read(measured / "shifted.json"),
        "parity": _read(measured / "parity.json"),
        "behaviour": _read(measured / "behaviour" / "behaviour.json"),
        "gate": _read(measured / "gate.json"),
    }
    for name, part in parts.items():
        if part.get("model_sha256") != sha256:
            raise RunError(f"{measured}: {name} belongs to another model")
        if (
            part.get("threshold", bundle.manifest.threshold.value)
            != bundle.manifest.threshold.value
        ):
            raise RunError(f"{measured}: {name} was measured at another threshold")
    validation, test = (
        read_table(
            measured / split / "predictions.csv",
            ("path", "label", "probability"),
            made_by="cxr-edge evaluate -o",
            numbers=("probability",),
        )
        for split in ("validation", "test")
    )
    variants = _read(bundle.path.parent / "report.json")["variants"]
    verifications = [each["verification"] for each in variants if each["sha256"] == sha256]
    if not verifications:
        raise RunError(f"{bundle.path.parent}/report.json: belongs to another conversion")
    trained = _read(run / "run.json")
    recipe = asdict(recipe_of_run(run))
    return {
        **parts,
        "test_date": readings["test"]["date"],
        "operating_points": operating_points(
            validation, test, shipped=bundle.manifest.threshold.value
        ),
        "test_curve": test_curve(test),
        "conversion": {
            name: verifications[0][name]
            for name in ("recall_drop", "specificity_drop", "auc_drop", "agreement")
        },
        "training": {
            **{name: trained[name] for name in ("seconds", "devices")},
            "recipe": {section: recipe[section] for section in ("model", "fit")},
            "films": films_by_split(read_dataset(run)),
            "parameters": load_model(run).count_params(),
        },
    }


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise RunError(f"{file}: missing; models/README.md says which command makes it")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
