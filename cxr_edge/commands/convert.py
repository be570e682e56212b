"""``cxr-edge convert``."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.conversion_table import print_variants, require_limits
from cxr_edge.console.loading import load_keras
from cxr_edge.console.terminal import Stages, say
from cxr_edge_convert.limits import (
    CALIBRATION_IMAGES,
    DEFAULT_LIMITS,
    MIN_CALIBRATION_IMAGES,
    Limits,
)
from cxr_edge_convert.variants import ONNX, TFLITE
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.defaults import MIN_SENSITIVITY


class Format(StrEnum):
    """Which formats to write."""

    TFLITE = "tflite"
    ONNX = "onnx"
    BOTH = "both"


class Target(StrEnum):
    """Which processors an ONNX INT8 model is laid out for."""

    ARM64 = "arm64"
    X86 = "x86"


_FORMATS = {Format.TFLITE: (TFLITE,), Format.ONNX: (ONNX,), Format.BOTH: (TFLITE, ONNX)}


def _refuse_model(given: list[str] | None) -> None:
    """Answer the options by which earlier versions took a model that was made elsewhere."""
    if given:
        raise InvalidRequest(
            "a model made elsewhere is imported once: cxr-edge import MODEL.keras --metadata "
            "clean_metadata.csv --splits splits.csv [--labels A,B] [--scaling 0-1] -o RUN; then "
            "cxr-edge convert RUN"
        )


def _ages(text: str) -> tuple[float, float]:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", text)
    if not found:
        raise InvalidRequest(f"--ages {text}: give two ages in years, such as 1-5")
    return float(found[1]), float(found[2])


def convert(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run, trained or imported.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    int8: Annotated[bool, typer.Option("--int8", help="Make static INT8.")] = False,
    float16: Annotated[
        bool, typer.Option("--float16", help="Weights in 16 bits (TFLite).")
    ] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="INT8 weights, activations on the fly (TFLite).")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Make every variant.")] = False,
    format: Annotated[Format, typer.Option("--format", help="Formats to write.")] = Format.TFLITE,
    target: Annotated[
        Target, typer.Option("--target", help="Processors for ONNX INT8.")
    ] = Target.ARM64,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            help="TOML file whose [calibration] is used instead of the run's recipe's.",
        ),
    ] = None,
    calibration_images: Annotated[
        int,
        typer.Option(min=MIN_CALIBRATION_IMAGES, metavar="N", help="Images that calibrate INT8."),
    ] = CALIBRATION_IMAGES,
    calibration_dir: Annotated[
        Path | None,
        typer.Option(
            "--calibration-dir",
            metavar="DIR",
            help="Calibrate with the images in this folder instead of training images.",
        ),
    ] = None,
    not_films: Annotated[
        Path | None,
        typer.Option(
            "--not-films",
            metavar="DIR",
            help="Images that are not chest X-rays, to measure the input gate with.",
        ),
    ] = None,
    ages: Annotated[
        str | None,
        typer.Option(
            "--ages",
            metavar="FROM-TO",
            help="Ages of the people on the films, in years, such as 1-5; each bundle states them.",
        ),
    ] = None,
    accuracy_control: Annotated[
        bool,
        typer.Option("--accuracy-control", help="Keep blocks in float where INT8 falls short."),
    ] = False,
    max_recall_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Maximum drop in recall.")
    ] = DEFAULT_LIMITS.max_recall_drop,
    max_specificity_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Maximum drop in specificity.")
    ] = DEFAULT_LIMITS.max_specificity_drop,
    max_auc_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Maximum drop in AUC.")
    ] = DEFAULT_LIMITS.max_auc_drop,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, metavar="SHARE", help="Minimum agreement with the float model."
        ),
    ] = DEFAULT_LIMITS.min_agreement,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="After verification, refit threshold and probability of each variant."
        ),
    ] = False,
    min_sensitivity: Annotated[
        float,
        typer.Option(
            min=0.01, max=1.0, metavar="SHARE", help="Lowest sensitivity that --refit allows."
        ),
    ] = MIN_SENSITIVITY,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier conversion in OUTPUT.")
    ] = False,
    root: options.Root = None,
    seed: options.Seed = 0,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "--metadata",
            "--splits",
            "--labels",
            "--scaling",
            hidden=True,
            is_eager=True,
            callback=_refuse_model,
        ),
    ] = None,
) -> None:
    """Quantize a trained model and verify each variant.

    Each variant is checked on validation in the engine that will run it. Float32 is always made,
    for comparison. A variant that passes is written to OUTPUT/VARIANT. One that exceeds a limit
    goes to OUTPUT/rejected, with exit code 4 unless keeping blocks in float helps.
    OUTPUT/report.html compares them. Import a model that was trained elsewhere with cxr-edge import
    first.
    """
    load_keras("tensorflow")
    report = cxr_edge.convert(
        run,
        output,
        int8=int8,
        float16=float16,
        dynamic=dynamic,
        all_variants=every,
        formats=_FORMATS[format],
        target=target,
        recipe=recipe,
        calibration_images=calibration_images,
        calibration_dir=calibration_dir,
        not_films=not_films,
        ages=None if ages is None else _ages(ages),
        accuracy_control=accuracy_control,
        limits=Limits(max_recall_drop, max_specificity_drop, max_auc_drop, min_agreement),
        refit=refit,
        min_sensitivity=min_sensitivity,
        overwrite=overwrite,
        root=root,
        seed=seed,
        progress=Stages(),
    )
    print_variants(report)
    if not (int8 or float16 or dynamic or every):
        say("warning: only float32 was made; add --int8 to make the model for a device")
    typer.echo(report.notice)
    typer.echo(f"wrote {output}; read {output / 'report.html'}")
    require_limits(report, output, accuracy_control=accuracy_control)
