"""Measure a bundle with the engine that runs it on the device."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.metrics import Metrics, evaluate


@dataclass(frozen=True, slots=True)
class BundleEvaluation:
    """What a bundle does on a split.

    Attributes:
        metrics: with intervals, at the bundle's own threshold.
        probabilities: ``[N]`` of each row.
        logits: ``[N]`` of each row.
    """

    metrics: Metrics
    probabilities: NDArray[np.float64]
    logits: NDArray[np.float64]


def evaluate_bundle(
    bundle: Bundle,
    table: pd.DataFrame,
    *,
    root: Path,
    threads: int = 1,
    progress: Callable[[Iterable[str], int], Iterable[str]] = lambda items, total: items,
) -> BundleEvaluation:
    """Classify every image of a table from its file, as a user would, and compute the figures.

    Args:
        bundle: temperature and threshold are taken from its manifest.
        table: rows with ``path``, ``md5``, ``label`` and ``patient``.
        root: folder the paths are relative to.
        threads: of the engine.
        progress: wraps the iteration.

    Raises:
        DatasetError: no rows, only one label among them, or an image changed since cleaning.
        ImageError: an image is missing or damaged.
    """
    if table.empty:
        raise DatasetError("no images in this split")
    classifier = Classifier(bundle, threads=threads)
    paths = progress(table["path"], len(table))
    predictions = [
        classifier.classify(read_unchanged(root / path, md5))
        for path, md5 in zip(paths, table["md5"])
    ]
    probabilities = np.array([prediction.probability for prediction in predictions])
    metrics = evaluate(probabilities, table, threshold=bundle.manifest.threshold.value)
    logits = np.array([prediction.logit for prediction in predictions])
    return BundleEvaluation(metrics, probabilities, logits)


def log_test_reading(log: Path, bundle: Bundle, metrics: Metrics, digest: str) -> None:
    """Append one JSON line: every look at test labels leaves a trace.

    The model's own SHA-256 stands beside the bundle's, because adding the result to the bundle's
    card changes the latter.

    Args:
        log: file to append to.
        bundle: that was measured.
        metrics: what came out.
        digest: of the test images.
    """
    manifest = bundle.manifest
    entry = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "bundle": manifest.name,
        "version": manifest.version,
        "bundle_sha256": bundle.digest,
        "model_sha256": manifest.files[manifest.model.file].sha256,
        "threshold": manifest.threshold.value,
        "temperature": manifest.temperature,
        "test_digest": digest,
        "metrics": metrics.as_dict(),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
