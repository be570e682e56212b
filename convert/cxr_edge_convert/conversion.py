"""From a run to verified bundles: the order in which the pieces are called."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.calibration import calibration_digest, choose_calibration_images
from cxr_edge_convert.limits import CALIBRATION_IMAGES, Limits
from cxr_edge_convert.packaging import FLOAT32, INT8, package
from cxr_edge_convert.report import write_report
from cxr_edge_convert.tflite import tensor_ranges, to_float32, to_int8
from cxr_edge_convert.verification import Verification, engine_logits, verify
from cxr_edge_runtime.engines.litert import LiteRtEngine
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.manifest import Calibration, InputEntry
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.evaluation.run_subject import load_model
from cxr_edge_train.runs import Run, read_dataset, read_predictions, read_run

REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Variant:
    """A converted model and what became of it.

    Attributes:
        name: ``float32`` or ``int8``.
        model: bytes of the flatbuffer.
        verification: against the Keras model.
        calibration: of an INT8 variant.
    """

    name: str
    model: bytes
    verification: Verification
    calibration: Calibration | None


def convert_run(
    folder: Path,
    output: Path,
    *,
    int8: bool,
    limits: Limits,
    calibration_images: int = CALIBRATION_IMAGES,
    seed: int = 0,
    root: Path | None = None,
    cache_dir: Path,
    progress: Callable[[Iterable[str], int], Iterable[str]] = lambda items, total: items,
) -> list[Variant]:
    """Convert a run, check each variant on validation and write bundles and report.

    ``output/<variant>`` holds what passed, ``output/rejected/<variant>`` what did not; the whole
    folder appears at once when everything is done.

    Args:
        folder: the run.
        output: folder to make; must not exist or be empty.
        int8: make the static INT8 variant too.
        limits: the most a variant may lose against float.
        calibration_images: how many training images calibrate INT8.
        seed: of the drawing of calibration images.
        root: folder the paths of the run's images are relative to; the one it was trained with
            without it.
        cache_dir: of decoded pixels.
        progress: wraps the decoding of images.

    Returns:
        The variants, float32 first.

    Raises:
        InvalidRequest: the output exists, or calibration has too few images.
        RunError: the run is incomplete or damaged.
        DatasetError: an image changed since the run was made.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InvalidRequest(f"{output}: exists already; choose another --output")
    run = read_run(folder)
    table = read_dataset(folder)
    calibrating = (
        choose_calibration_images(table, count=calibration_images, seed=seed) if int8 else None
    )
    model = load_model(folder)

    def pixels_of(rows: pd.DataFrame) -> NDArray[np.uint8]:
        return load_pixels(
            rows,
            run.preprocess,
            root=root or Path(run.root),
            cache_dir=cache_dir,
            progress=progress,
        )

    validation = table[table["split"] == "validation"].reset_index(drop=True)
    validation_pixels = pixels_of(validation)
    float_logits = read_predictions(folder, validation)

    def checked(name: str, content: bytes, calibration: Calibration | None) -> Variant:
        engine = LiteRtEngine(content, InputEntry.of_contract(name, run.preprocess))
        verification = verify(
            float_logits,
            engine_logits(engine, validation_pixels),
            validation,
            temperature=run.temperature,
            threshold=run.threshold,
            limits=limits,
        )
        return Variant(name, content, verification, calibration)

    float32 = to_float32(model)
    variants = [checked(FLOAT32, float32, None)]
    if calibrating is not None:
        quantized = to_int8(float32, tensor_ranges(float32, pixels_of(calibrating)))
        calibration = Calibration(
            count=len(calibrating),
            method="min-max over all images",
            seed=seed,
            digest=calibration_digest(calibrating),
        )
        variants.append(checked(INT8, quantized, calibration))
    _write_all(output, folder, run, variants, limits)
    return variants


def _write_all(
    output: Path, folder: Path, run: Run, variants: list[Variant], limits: Limits
) -> None:
    recipe = (folder / "recipe.toml").read_text(encoding="utf-8")
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
    try:
        staging.chmod(0o755)
        for variant in variants:
            passed = variant.verification.passed
            package(
                staging / variant.name if passed else staging / REJECTED / variant.name,
                variant.model,
                run,
                recipe=recipe,
                quantization=variant.name,
                metrics=variant.verification.metrics,
                calibration=variant.calibration,
            )
        write_report(staging, {v.name: (len(v.model), v.verification) for v in variants}, limits)
        if output.exists():
            output.rmdir()
        staging.rename(output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
