"""Results of ``convert`` as a table, and which variants missed a limit."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cxr_edge.console.terminal import print_next, say_warnings
from cxr_edge_runtime.errors import LimitMissed

if TYPE_CHECKING:
    from cxr_edge_convert.report.conversion_report import ConversionReport
    from cxr_edge_runtime.bundle.manifest import Interval


def print_variants(report: "ConversionReport") -> None:
    """Print one line for each variant, with its metrics on validation and the verdict.

    Warnings follow, on standard error.
    """
    width = max(len(variant.name) for variant in report.variants)
    heading = f"{'recall':>15}  {'specificity':>15}    AUC  {'agreement':>16}  verdict"
    typer.echo(f"{'variant':<{width}}     bytes  {heading}")
    for variant in report.variants:
        verification = variant.verification
        metrics, n = verification.metrics, verification.n
        agreement = f"{verification.agreement:.4f} ({n - verification.n_changed}/{n})"
        typer.echo(
            f"{variant.name:<{width}}  {variant.bytes:>8}  "
            f"{_share(metrics.sensitivity):>15}  {_share(metrics.specificity):>15}  "
            f"{metrics.auc.value:.3f}  {agreement:>16}  "
            f"{'passed' if variant.passed else 'REJECTED'}"
        )
        if variant.refit:
            own = variant.refit.metrics
            typer.echo(
                f"{'  refitted':<{width}}  {'':>8}  {_share(own.sensitivity):>15}  "
                f"{_share(own.specificity):>15}"
            )
    for variant in report.variants:
        say_warnings(f"{variant.name}: {warning}" for warning in variant.warnings)
    say_warnings(f"looser than the defaults: {words}" for words in report.limits.looser)


def _share(metric: "Interval") -> str:
    """A share with the images it counts, ``0.950 (190/200)``."""
    return f"{metric.value:.3f} ({round(metric.value * metric.n)}/{metric.n})"


def require_limits(report: "ConversionReport", output: Path, *, accuracy_control: bool) -> None:
    """Say which bundle to use, or which variants were rejected and what to try.

    Args:
        report: what was made.
        output: the folder it was written to.
        accuracy_control: whether blocks were to be kept in float where a limit was missed.

    Raises:
        LimitMissed: a variant missed a limit, and none with blocks in float replaces it.
    """
    best = report.recommended
    if best and not report.limits.looser:
        print_next("classify", "--bundle", output / best.folder, "image.jpeg")
    elif best:
        typer.echo(f"{output / best.folder} passed limits that are looser than the defaults")
    if report.missed:
        reasons = "; ".join(
            f"{variant.name}: {', '.join(variant.verification.failures)}"
            for variant in report.missed
        )
        folder = output / Path(report.missed[0].folder).parent
        see = f"See {folder} and {output / 'report.html'}"
        raise LimitMissed(f"{reasons}. {_next_step(report, accuracy_control)}{see}")


def _next_step(report: "ConversionReport", accuracy_control: bool) -> str:
    """What may help, as a sentence; nothing where the conversion itself is wrong."""
    lost = {v.quantization for v in report.missed if v.verification.lost_too_much}
    if "float32" in lost:
        return ""
    # Blocks in float do not help where there were only too few images.
    control = "--accuracy-control, or " if "int8" in lost and not accuracy_control else ""
    return f"Try {control}more validation images. "
