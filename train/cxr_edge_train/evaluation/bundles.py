"""Measure a bundle with the engine that runs it on the device."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.metrics import Metrics, evaluate


def evaluate_bundle(
    bundle: Bundle,
    table: pd.DataFrame,
    *,
    root: Path,
    threads: int = 1,
    progress: Callable[[Iterable[str], int], Iterable[str]] = lambda items, total: items,
) -> Metrics:
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
    probabilities = np.array(
        [
            classifier.classify(read_unchanged(root / path, md5)).probability
            for path, md5 in zip(paths, table["md5"])
        ]
    )
    return evaluate(probabilities, table, threshold=bundle.manifest.threshold.value)


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
