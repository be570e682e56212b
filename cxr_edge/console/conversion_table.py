"""Results of ``convert`` as a table, and which variants missed a limit."""

from collections.abc import Sequence
from pathlib import Path

import typer

from cxr_edge.console.terminal import say
from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.report.content import variant_folder
from cxr_edge_runtime.errors import LimitMissed


def print_variants(variants: Sequence[Variant], output: Path) -> None:
    """Print a line a variant, with its figures on validation and the verdict, then warnings.

    Args:
        variants: as they were written.
        output: the folder they were written to.
    """
    width = max(len(variant.scheme.name) for variant in variants)
    typer.echo(f"{'variant':<{width}}       bytes  recall  specificity    AUC  agreement  verdict")
    for variant in variants:
        verification = variant.verification
        metrics = verification.metrics
        file = output / variant_folder(variant) / variant.scheme.file
        typer.echo(
            f"{variant.scheme.name:<{width}}  {file.stat().st_size:>10}  "
            f"{metrics.sensitivity.value:>6.3f}  {metrics.specificity.value:>11.3f}  "
            f"{metrics.auc.value:.3f}  {verification.agreement:>9.4f}  "
            f"{'passed' if verification.passed else 'REJECTED'}"
        )
        if variant.refit:
            own = variant.refit.metrics
            typer.echo(
                f"{'  fitted anew':<{width}}  {'':>10}  {own.sensitivity.value:>6.3f}  "
                f"{own.specificity.value:>11.3f}"
            )
    for variant in variants:
        if variant.stability and variant.stability.warning:
            say(f"warning: {variant.scheme.name}: {variant.stability.warning}")


def require_limits(variants: Sequence[Variant], output: Path) -> None:
    """Say which variants were rejected.

    Raises:
        LimitMissed: at least one was.
    """
    missed = [variant for variant in variants if not variant.verification.passed]
    if missed:
        reasons = "; ".join(
            f"{variant.scheme.name}: {', '.join(variant.verification.failures)}"
            for variant in missed
        )
        folder = output / variant_folder(missed[0]).parent
        raise LimitMissed(f"{reasons}. See {folder} and {output / 'report.html'}")
