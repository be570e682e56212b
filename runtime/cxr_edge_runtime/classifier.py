"""From an image to an answer."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import GATE_FILE
from cxr_edge_runtime.engines import Engine, Outputs, open_engine
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.gate import NOT_CHECKED, REJECTED, Gate, Verdict, objections
from cxr_edge_runtime.images import GreyImage, image_warnings, read_grey
from cxr_edge_runtime.preprocess import preprocess


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    Attributes:
        label: one of the bundle's labels; None where the gate rejected the image.
        probability: of the positive label, 0 to 1; None where the gate rejected the image.
        threshold: the positive label is given at or above it.
        logit: the model's raw output.
        gate: whether the image is a usable frontal chest X-ray at all.
        activation_map: ``[h, w] float32``, what each place adds to the logit, whose mean it is;
            None where the model gives none.
        warnings: what is suspicious about the image, in words.
        timings_ms: milliseconds of ``decode``, ``preprocess`` and ``invoke``.
        image_sha256: of the image's file, where it was asked for.
    """

    label: str | None
    probability: float | None
    threshold: float
    logit: float
    gate: Verdict
    activation_map: NDArray[np.float32] | None
    warnings: tuple[str, ...]
    timings_ms: dict[str, float]
    image_sha256: str | None = None


class Classifier:
    """A bundle ready to classify; not to be shared between threads."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        engine: str | None = None,
        hash_images: bool = False,
    ) -> None:
        """Load the bundle's model.

        Args:
            bundle: a loaded bundle.
            threads: threads of the engine.
            engine: see :func:`cxr_edge_runtime.engines.open_engine`.
            hash_images: give the SHA-256 of image files with their predictions.

        Raises:
            EngineError: the model cannot be loaded.
            BundleInvalid: the gate cannot be read.
        """
        self.bundle = bundle
        self.engine: Engine = open_engine(bundle, threads=threads, engine=engine)
        limits = bundle.manifest.gate
        self._hash_images = hash_images
        self._gate = Gate.from_bytes(bundle.read(GATE_FILE), limits) if limits else None

    def classify(
        self, image: Path | GreyImage | NDArray[np.uint8], *, force: bool = False
    ) -> Prediction:
        """Classify an image file, a decoded image, or grey pixels ``[H, W] uint8``.

        Args:
            image: what to classify.
            force: give an answer also where the gate rejects the image.

        Raises:
            ImageError: the file cannot be used; the subclass says why.
            EngineError: the engine failed or computed no number.
        """
        manifest = self.bundle.manifest
        started = time.perf_counter()
        if isinstance(image, Path):
            image = read_grey(image, hashed=self._hash_images)
        elif not isinstance(image, GreyImage):
            image = GreyImage(image, format="", mode="L")
        decoded = time.perf_counter()
        model_input = preprocess(image.pixels, manifest.preprocess)
        prepared = time.perf_counter()
        outputs = self.engine.run(model_input)
        invoked = time.perf_counter()
        logit = float(outputs["logit"][0, 0])
        for name, values in outputs.items():
            # A NaN would pass every limit of the gate.
            if not np.isfinite(values).all():
                raise EngineError(f"{self.engine.name} computed no number for the {name}")

        probability = sigmoid(logit / manifest.temperature)
        negative = next(name for name in manifest.labels if name != manifest.positive_label)
        is_positive = probability >= manifest.threshold.value
        gate = self._judge(image, model_input, outputs)
        answered = force or gate.verdict != REJECTED
        return Prediction(
            label=(manifest.positive_label if is_positive else negative) if answered else None,
            probability=probability if answered else None,
            threshold=manifest.threshold.value,
            logit=logit,
            gate=gate,
            activation_map=outputs["cam"][0, :, :, 0] if "cam" in outputs else None,
            warnings=(*image.warnings, *image_warnings(image.pixels)),
            timings_ms={
                "decode": (decoded - started) * 1000,
                "preprocess": (prepared - decoded) * 1000,
                "invoke": (invoked - prepared) * 1000,
            },
            image_sha256=image.sha256,
        )

    def _judge(self, image: GreyImage, model_input: NDArray[np.uint8], outputs: Outputs) -> Verdict:
        if self._gate is None:
            return Verdict(NOT_CHECKED)
        return self._gate.judge(
            objections(image),
            model_input,
            outputs["embedding"],
            embed=lambda other: self.engine.run(other)["embedding"],
        )


def sigmoid(value: float) -> float:
    """``1 / (1 + exp(-value))`` without overflow; the probability that a logit stands for."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))
