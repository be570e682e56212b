"""What several benchmarks do with films and the classifier."""

from collections.abc import Sequence
from pathlib import Path

import cxr_edge_models
from benchmarks.side_by_side import seconds_of
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.images import SUFFIXES


def load_bundle(bundle: str = cxr_edge_models.DEFAULT) -> Bundle:
    """Load a shipped bundle by its name, or a bundle by its folder."""
    shipped = bundle in cxr_edge_models.names()
    return Bundle.load(cxr_edge_models.path(bundle) if shipped else Path(bundle))


def images_below(folder: Path) -> list[Path]:
    """All image files below a folder, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def classify_in_threads(bundle: Bundle, films: Sequence[Path], workers: int) -> float:
    """Films a second of what ``cxr-edge classify`` does; the engines are made before the clock."""
    ready = [Classifier(bundle) for _ in range(workers)]
    results = classify_all(((film, None) for film in films), ready.pop, workers=workers)
    return len(films) / seconds_of(lambda: sum(1 for _ in results))
