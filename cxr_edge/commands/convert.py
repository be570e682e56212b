"""``cxr-edge convert``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import progress_bar
from cxr_edge_convert.limits import CALIBRATION_IMAGES, MIN_CALIBRATION_IMAGES, Limits
from cxr_edge_convert.variants import DYNAMIC, FLOAT16, INT8, ONNX, TFLITE, wanted_schemes
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.defaults import MIN_SENSITIVITY

_LIMITS = Limits()


class Format(StrEnum):
    """Which formats to write."""

    TFLITE = "tflite"
    ONNX = "onnx"
    BOTH = "both"


class Target(StrEnum):
    """Which processors an ONNX INT8 model is laid out for."""

    ARM64 = "arm64"
    X86 = "x86"


class Scaling(StrEnum):
    """What grey values were turned into for a model of one's own."""

    GREY = "0-255"
    UNIT = "0-1"
    SIGNED = "-1-1"


def convert(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Folder of a finished training run.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    int8: Annotated[bool, typer.Option("--int8", help="Static INT8.")] = False,
    float16: Annotated[
        bool, typer.Option("--float16", help="Weights in 16 bits (TFLite).")
    ] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="INT8 weights, activations on the fly (TFLite).")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    format: Annotated[Format, typer.Option("--format", help="Formats to write.")] = Format.TFLITE,
    target: Annotated[
        Target, typer.Option("--target", help="Processors for ONNX INT8.")
    ] = Target.ARM64,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", help="TOML file whose [calibration] is used instead of the run's recipe's."
        ),
    ] = None,
    calibration_images: Annotated[
        int, typer.Option(min=MIN_CALIBRATION_IMAGES, help="Images that calibrate INT8.")
    ] = CALIBRATION_IMAGES,
    calibration_dir: Annotated[
        Path | None,
        typer.Option(
            "--calibration-dir",
            metavar="DIR",
            help="Calibrate with the films in this folder instead of training images.",
        ),
    ] = None,
    not_films: Annotated[
        Path | None,
        typer.Option(
            "--not-films",
            metavar="DIR",
            help="Things that are no chest X-ray, to measure the input gate with.",
        ),
    ] = None,
    accuracy_control: Annotated[
        bool,
        typer.Option("--accuracy-control", help="Keep blocks in float where INT8 falls short."),
    ] = False,
    max_recall_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Most recall a variant may lose.")
    ] = _LIMITS.max_recall_drop,
    max_specificity_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Most specificity a variant may lose.")
    ] = _LIMITS.max_specificity_drop,
    max_auc_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Most AUC a variant may lose.")
    ] = _LIMITS.max_auc_drop,
    min_agreement: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least share of decisions that are float's.")
    ] = _LIMITS.min_agreement,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="After the verdict fit threshold and temperature to each variant."
        ),
    ] = False,
    min_sensitivity: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Sensitivity floor of a threshold chosen here.")
    ] = MIN_SENSITIVITY,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier conversion in OUTPUT.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="A Keras classifier made elsewhere, no RUN."),
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option("--metadata", help="With --model: clean_metadata.csv.")
    ] = None,
    splits: Annotated[
        Path | None, typer.Option("--splits", help="With --model: splits.csv.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="With --model: the labels in the order of its outputs, NORMAL,PNEUMONIA if it is "
            "not given; a single output gives the probability of the second.",
        ),
    ] = None,
    scaling: Annotated[
        Scaling | None,
        typer.Option("--scaling", help="With --model: what it was trained on, if no layer scales."),
    ] = None,
    root: options.Root = None,
    seed: options.Seed = 0,
) -> None:
    """Quantize a trained model and verify each variant.

    Each is checked on validation with the engine that will run it. Float32 is always made, for
    comparison. A variant that passes is written to OUTPUT/VARIANT. One that loses more than the
    limits allow goes to OUTPUT/rejected and the exit code is 4. OUTPUT/report.html says what
    each costs.
    """
    if (run is None) == (model is None):
        raise InvalidRequest("name either a RUN or a --model")
    if run is not None and any((metadata, splits, labels, scaling)):
        raise InvalidRequest("--metadata, --splits, --labels and --scaling belong to --model")
    if model is not None and (metadata is None or splits is None):
        raise InvalidRequest("--model needs --metadata and --splits, to verify it on validation")
    if not (int8 or every) and any((calibration_dir, recipe, accuracy_control)):
        raise InvalidRequest(
            "--calibration-dir, --recipe and --accuracy-control are for INT8; add --int8"
        )
    formats = [TFLITE, ONNX] if format is Format.BOTH else [format.value]
    if TFLITE not in formats and (float16 or dynamic):
        raise InvalidRequest("--float16 and --dynamic are variants of TFLite; add --format both")

    from cxr_edge.process.keras_backend import load_quietly

    load_quietly("tensorflow")  # its converter alone writes TFLite
    from cxr_edge.console.conversion_table import print_variants, require_limits
    from cxr_edge_convert.bundling.output_folder import check_output, write_all
    from cxr_edge_convert.conversion import make_variants
    from cxr_edge_convert.settings import ConversionSettings
    from cxr_edge_convert.sources import foreign_source, run_source
    from cxr_edge_runtime.bundle.manifest import NOTICE
    from cxr_edge_train.defaults import default_cache_dir
    from cxr_edge_train.recipe import read_recipe

    chosen = ((FLOAT16, float16), (DYNAMIC, dynamic), (INT8, int8))
    quantizations = [name for name, wanted in chosen if wanted or every]
    settings = ConversionSettings(
        schemes=tuple(
            wanted_schemes(formats=formats, quantizations=quantizations, target=target.value)
        ),
        limits=Limits(max_recall_drop, max_specificity_drop, max_auc_drop, min_agreement),
        method=read_recipe(recipe).calibration if recipe else None,
        calibration_images=calibration_images,
        calibration_dir=calibration_dir,
        seed=seed,
        accuracy_control=accuracy_control,
        refit_sensitivity=min_sensitivity if refit else None,
        not_films=not_films,
    )
    read = (run, model, metadata, splits, recipe, calibration_dir, not_films)
    inputs = [path for path in read if path]
    check_output(output, overwrite=overwrite, inputs=inputs)
    cache_dir = default_cache_dir()
    if run is not None:
        source = run_source(run, root=root, cache_dir=cache_dir, progress=progress_bar)
    else:
        # As was checked above.
        assert model is not None
        assert metadata is not None
        assert splits is not None
        source = foreign_source(
            model,
            metadata=metadata,
            splits=splits,
            labels=(labels or "NORMAL,PNEUMONIA").split(","),
            scaling=scaling.value if scaling else None,
            min_sensitivity=min_sensitivity,
            root=root,
            cache_dir=cache_dir,
            progress=progress_bar,
        )
    variants = make_variants(source, settings, progress=progress_bar)
    write_all(output, source, settings, variants, overwrite=overwrite, progress=progress_bar)

    print_variants(variants, output)
    typer.echo(NOTICE)
    typer.echo(f"wrote {output}; read {output / 'report.html'}")
    require_limits(variants, output)
