"""``cxr-edge convert``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge import options
from cxr_edge.terminal import progress_bar
from cxr_edge_convert.limits import CALIBRATION_IMAGES, MIN_CALIBRATION_IMAGES, Limits

_LIMITS = Limits()


def convert(
    run: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Make a static INT8 variant beside float32.")
    ] = False,
    max_recall_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Most recall a variant may lose.")
    ] = _LIMITS.max_recall_drop,
    max_specificity_drop: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Most specificity a variant may lose.")
    ] = _LIMITS.max_specificity_drop,
    calibration_images: Annotated[
        int,
        typer.Option(min=MIN_CALIBRATION_IMAGES, help="Training images that calibrate INT8."),
    ] = CALIBRATION_IMAGES,
    root: options.Root = None,
    seed: options.Seed = 0,
) -> None:
    """Convert a trained model to TFLite and check it on validation with the runtime's engine.

    A variant that passes is written to OUTPUT/VARIANT. One that loses more than the limits allow
    goes to OUTPUT/rejected and the exit code is 4. OUTPUT/report.md says what each costs.
    """
    from cxr_edge.backend import load_quietly

    load_quietly()
    from cxr_edge_convert.conversion import REJECTED, convert_run
    from cxr_edge_runtime.errors import LimitMissed
    from cxr_edge_runtime.manifest import NOTICE
    from cxr_edge_train.dataset.pixels import default_cache_dir

    variants = convert_run(
        run,
        output,
        int8=int8,
        limits=Limits(max_recall_drop, max_specificity_drop),
        calibration_images=calibration_images,
        seed=seed,
        root=root,
        cache_dir=default_cache_dir(),
        progress=progress_bar("reading images"),
    )
    typer.echo("variant       bytes  recall  specificity    AUC  agreement  verdict")
    for variant in variants:
        metrics = variant.verification.metrics
        typer.echo(
            f"{variant.name:<8} {len(variant.model):>10}  {metrics.sensitivity.value:>6.3f}  "
            f"{metrics.specificity.value:>11.3f}  {metrics.auc.value:.3f}  "
            f"{variant.verification.agreement:>9.4f}  "
            f"{'passed' if variant.verification.passed else 'REJECTED'}"
        )
    for variant in variants:
        if variant.calibration:
            typer.echo(f"{variant.name}: ranges from {variant.calibration.count} training images")
    typer.echo(NOTICE)
    typer.echo(f"wrote {output}")
    missed = [variant for variant in variants if not variant.verification.passed]
    if missed:
        reasons = "; ".join(
            f"{variant.name}: {failure}"
            for variant in missed
            for failure in variant.verification.failures
        )
        raise LimitMissed(f"{reasons}. See {output / REJECTED} and {output / 'report.md'}")
