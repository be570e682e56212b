"""Results of ``convert`` as a table, and which variants missed a limit."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cxr_edge.console.terminal import say
from cxr_edge_runtime.errors import LimitMissed

if TYPE_CHECKING:
    from cxr_edge_convert.report.conversion_report import ConversionReport


def print_variants(report: "ConversionReport") -> None:
    """Print one line for each variant, with its metrics on validation and the verdict.

    Warnings follow, on standard error.
    """
    width = max(len(variant.name) for variant in report.variants)
    typer.echo(f"{'variant':<{width}}       bytes  recall  specificity    AUC  agreement  verdict")
    for variant in report.variants:
        verification = variant.verification
        metrics = verification.metrics
        typer.echo(
            f"{variant.name:<{width}}  {variant.bytes:>10}  "
            f"{metrics.sensitivity.value:>6.3f}  {metrics.specificity.value:>11.3f}  "
            f"{metrics.auc.value:.3f}  {verification.agreement:>9.4f}  "
            f"{'passed' if variant.passed else 'REJECTED'}"
        )
        if variant.refit:
            own = variant.refit.metrics
            typer.echo(
                f"{'  fitted anew':<{width}}  {'':>10}  {own.sensitivity.value:>6.3f}  "
                f"{own.specificity.value:>11.3f}"
            )
    for variant in report.variants:
        if variant.stability and variant.stability.warning:
            say(f"warning: {variant.name}: {variant.stability.warning}")


def require_limits(report: "ConversionReport", output: Path) -> None:
    """Say which variants were rejected.

    Args:
        report: what was made.
        output: the folder it was written to.

    Raises:
        LimitMissed: at least one variant missed a limit.
    """
    if report.rejected:
        reasons = "; ".join(
            f"{variant.name}: {', '.join(variant.verification.failures)}"
            for variant in report.rejected
        )
        folder = output / Path(report.rejected[0].folder).parent
        raise LimitMissed(f"{reasons}. See {folder} and {output / 'report.html'}")
