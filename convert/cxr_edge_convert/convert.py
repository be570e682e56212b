"""From a run to a folder of verified bundles and their report, in one call."""

from collections.abc import Sequence
from pathlib import Path

import keras

from cxr_edge_convert.bundling.output_folder import check_output, write_all
from cxr_edge_convert.conversion import make_variants
from cxr_edge_convert.limits import CALIBRATION_IMAGES, DEFAULT_LIMITS, Limits
from cxr_edge_convert.report.conversion_report import ConversionReport
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import run_source
from cxr_edge_convert.variants import DYNAMIC, FLOAT16, INT8, TFLITE, Scheme, wanted_schemes
from cxr_edge_runtime.arguments import (
    as_path,
    check_callables,
    check_flags,
    check_number,
    check_share,
    optional_path,
)
from cxr_edge_runtime.bundle.manifest import MAX_AGE, Ages
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files.outputs import check_apart
from cxr_edge_train.dataset.sampling import as_seed
from cxr_edge_train.defaults import MIN_SENSITIVITY, default_cache_dir
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Recipe, as_recipe
from cxr_edge_train.runs import RUN


def convert(
    run: str | Path,
    output: str | Path,
    *,
    int8: bool = False,
    float16: bool = False,
    dynamic: bool = False,
    all_variants: bool = False,
    formats: Sequence[str] = (TFLITE,),
    target: str = "arm64",
    recipe: str | Path | Recipe | None = None,
    calibration_images: int = CALIBRATION_IMAGES,
    calibration_dir: str | Path | None = None,
    not_films: str | Path | None = None,
    ages: tuple[float, float] | None = None,
    accuracy_control: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    refit: bool = False,
    min_sensitivity: float = MIN_SENSITIVITY,
    overwrite: bool = False,
    root: str | Path | None = None,
    seed: int = 0,
    progress: ProgressFactory = no_progress,
) -> ConversionReport:
    """Quantize the model of a run, and verify each variant on validation images.

    Each variant runs in the engine that will run it on a device, and its predictions are compared
    with those of the float model. Float32 is always made, for comparison. A variant within the
    limits becomes ``output/VARIANT``. One that misses a limit is written to
    ``output/rejected/VARIANT``; no error is raised, see ``report.rejected``. The folder appears
    when all of it is written. Keras must use TensorFlow.

    Args:
        run: the folder of a run, trained by :func:`cxr_edge.train` or made by
            :func:`cxr_edge.import_keras_model`.
        output: the folder to make.
        int8: whether to make static INT8.
        float16: whether to make TFLite with weights in 16 bits.
        dynamic: whether to make TFLite with INT8 weights whose activations are quantized anew for
            each image.
        all_variants: whether to make every variant that the formats have.
        formats: ``tflite``, ``onnx`` or both.
        target: the processors that ONNX INT8 is laid out for, ``arm64`` or ``x86``.
        recipe: a recipe or its TOML file, whose section ``[calibration]`` is used instead of that
            of the run.
        calibration_images: how many images calibrate INT8.
        calibration_dir: a folder with images that calibrate INT8 instead of training images.
        not_films: a folder with images that are not chest X-rays, to measure the input gate.
        ages: the lowest and the highest age, in years, of the people whose films the model was made
            with. Each bundle states them, and DICOM films of others are suspicious.
        accuracy_control: whether to keep blocks in float where INT8 misses a limit.
        limits: the most that a variant may lose.
        refit: whether to fit temperature, bias and threshold to each variant after its verdict.
        min_sensitivity: the lowest sensitivity of a threshold that is fitted so.
        overwrite: whether an earlier conversion in ``output`` may be replaced. Nothing else is.
        root: the folder that the paths of the run's images are relative to; the one it was made
            with if None.
        seed: the seed of the choice of calibration images.
        progress: shows how far each stage has come.

    Returns:
        The content of ``output/report.json``.

    Raises:
        InvalidRequest: the arguments do not fit together, a folder of images is missing, or the
            output may not be replaced.
        RunError: the run is incomplete or damaged.
        DatasetError: an image changed since it was cleaned.
        ConversionError: a format cannot express the model.

    Examples:
        >>> from cxr_edge import convert
        >>> report = convert("run", "bundles", int8=True)
        >>> [(variant.name, variant.passed) for variant in report.variants]
        [('float32', True), ('int8', True)]
    """
    run, output = as_path(run, "run"), as_path(output, "output")
    calibration_dir = optional_path(calibration_dir, "calibration_dir")
    not_films = optional_path(not_films, "not_films")
    check_flags(
        int8=int8,
        float16=float16,
        dynamic=dynamic,
        all_variants=all_variants,
        accuracy_control=accuracy_control,
        refit=refit,
        overwrite=overwrite,
    )
    check_share(min_sensitivity, "min_sensitivity")
    check_callables(progress=progress)
    if keras.backend.backend() != "tensorflow":
        raise InvalidRequest(
            f"Keras uses {keras.backend.backend()}, but conversion needs TensorFlow; set "
            "KERAS_BACKEND=tensorflow before Keras is imported"
        )
    wanted = {FLOAT16: float16, DYNAMIC: dynamic, INT8: int8}
    schemes = wanted_schemes(
        formats=formats,
        quantizations=[name for name, asked in wanted.items() if asked or all_variants],
        target=target,
    )
    if (float16 or dynamic) and TFLITE not in formats:
        raise InvalidRequest("float16 and dynamic are variants of TFLite, which was not requested")
    settings = ConversionSettings(
        schemes=tuple[Scheme, ...](schemes),
        limits=limits,
        method=None if recipe is None else as_recipe(recipe).calibration,
        calibration_images=calibration_images,
        calibration_dir=calibration_dir,
        seed=as_seed(seed),
        accuracy_control=accuracy_control,
        refit_sensitivity=min_sensitivity if refit else None,
        not_films=not_films,
        ages=None if ages is None else _as_ages(ages),
    )
    recipe_file = Path(recipe) if isinstance(recipe, str | Path) else None
    read = [path for path in (run, recipe_file, calibration_dir, not_films) if path]
    for folder in (calibration_dir, not_films):
        if folder is not None and not folder.is_dir():
            raise InvalidRequest(f"{folder}: no such folder")
    check_output(output, overwrite=overwrite, inputs=read)
    if (run / RUN).exists():
        check_apart(output, run)
    source = run_source(run, root=root, cache_dir=default_cache_dir(), progress=progress)
    variants = make_variants(source, settings, progress=progress)
    return write_all(output, source, settings, variants, overwrite=overwrite, progress=progress)


def _as_ages(ages: object) -> Ages:
    """Check ages that a caller gave.

    Raises:
        InvalidRequest: they are not two ages, the lower one first.
    """
    if not isinstance(ages, Sequence) or isinstance(ages, str) or len(ages) != 2:
        raise InvalidRequest(f"ages must be the lowest and the highest age, not {ages!r}")
    for age in ages:
        check_number(age, "an age", minimum=0, maximum=MAX_AGE)
    if ages[0] > ages[1]:
        raise InvalidRequest(f"ages {ages[0]:g}-{ages[1]:g}: the lower age must come first")
    return Ages(float(ages[0]), float(ages[1]))
