"""From an image to an answer."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.engines import Engine, open_engine
from cxr_edge_runtime.errors import EngineError, ImageError
from cxr_edge_runtime.images import GreyImage, image_warnings, read_grey
from cxr_edge_runtime.preprocess import preprocess

# Version of the JSON that `classify --json` prints, one object a line.
RESULT_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    Attributes:
        label: one of the bundle's labels.
        probability: of the positive label, 0 to 1.
        threshold: the positive label is given at or above it.
        logit: the model's raw output.
        warnings: what is suspicious about the image, in words.
        timings_ms: milliseconds of ``decode``, ``preprocess`` and ``invoke``.
    """

    label: str
    probability: float
    threshold: float
    logit: float
    warnings: tuple[str, ...]
    timings_ms: dict[str, float]


class Classifier:
    """A bundle ready to classify; not to be shared between threads."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Load the bundle's model.

        Args:
            bundle: a loaded bundle.
            threads: threads of the engine.

        Raises:
            EngineError: the model cannot be loaded.
        """
        self.bundle = bundle
        self.engine: Engine = open_engine(bundle, threads=threads)

    def classify(self, image: Path | GreyImage | NDArray[np.uint8]) -> Prediction:
        """Classify an image file, a decoded image, or grey pixels ``[H, W] uint8``.

        Raises:
            ImageError: the file cannot be used; the subclass says why.
            EngineError: the engine failed or computed no number.
        """
        manifest = self.bundle.manifest
        started = time.perf_counter()
        if isinstance(image, Path):
            image = read_grey(image)
        elif not isinstance(image, GreyImage):
            image = GreyImage(image, format="", mode="L")
        decoded = time.perf_counter()
        model_input = preprocess(image.pixels, manifest.preprocess)
        prepared = time.perf_counter()
        logit = float(self.engine.run(model_input)["logit"][0, 0])
        invoked = time.perf_counter()
        if not math.isfinite(logit):
            raise EngineError(f"{self.engine.name} computed {logit} for the logit; not an answer")

        probability = sigmoid(logit / manifest.temperature)
        negative = next(name for name in manifest.labels if name != manifest.positive_label)
        is_positive = probability >= manifest.threshold.value
        return Prediction(
            label=manifest.positive_label if is_positive else negative,
            probability=probability,
            threshold=manifest.threshold.value,
            logit=logit,
            warnings=(*image.warnings, *image_warnings(image.pixels)),
            timings_ms={
                "decode": (decoded - started) * 1000,
                "preprocess": (prepared - decoded) * 1000,
                "invoke": (invoked - prepared) * 1000,
            },
        )


def sigmoid(value: float) -> float:
    """``1 / (1 + exp(-value))`` without overflow; the probability that a logit stands for."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def result_as_json(file: str, prediction: Prediction, bundle: Bundle) -> dict[str, Any]:
    """One line of ``classify --json`` for an image that was classified."""
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "file": file,
        "label": prediction.label,
        "probability": round(prediction.probability, 6),
        "threshold": prediction.threshold,
        "gate": {"verdict": "not_checked", "reasons": []},
        "warnings": list(prediction.warnings),
        "timings_ms": {name: round(value, 3) for name, value in prediction.timings_ms.items()},
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "sha256": bundle.digest,
        },
        "notice": bundle.manifest.notice,
    }


def error_as_json(file: str, error: ImageError) -> dict[str, Any]:
    """One line of ``classify --json`` for an image that could not be used."""
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "file": file,
        "error": {"kind": error.kind, "message": str(error)},
    }
