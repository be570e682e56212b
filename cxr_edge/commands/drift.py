"""``cxr-edge drift``."""

import json
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cxr_edge
from cxr_edge.bundles.notice import notice_of
from cxr_edge.console import options
from cxr_edge.console.terminal import say
from cxr_edge_runtime.errors import InvalidRequest, LimitMissed

if TYPE_CHECKING:
    from cxr_edge.monitoring.drift_check import DriftCheck


class Against(StrEnum):
    """What a log's predictions are compared with."""

    BUNDLE = "bundle"
    EARLIER = "earlier"


def drift(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG", help="Log written by classify, serve, watch or score with --log."
        ),
    ],
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            metavar="DATE",
            help="Only films from this time on, UTC [default: all].",
        ),
    ] = None,
    against: Annotated[
        Against,
        typer.Option(
            "--against",
            help="Compare with the films that the bundle was verified on, or with those of the log "
            "before --since.",
        ),
    ] = Against.BUNDLE,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PNG", help="Plot both distributions."),
    ] = None,
    max_psi: Annotated[
        float,
        typer.Option(
            "--max-psi",
            min=0,
            metavar="NUMBER",
            help="Population stability index above which drift is reported.",
        ),
    ] = 0.25,
    max_ks: Annotated[
        float,
        typer.Option(
            "--max-ks",
            min=0,
            max=1,
            metavar="SHARE",
            help="Kolmogorov-Smirnov distance above which drift is reported.",
        ),
    ] = 0.2,
    max_rejected: Annotated[
        float,
        typer.Option(
            "--max-rejected",
            min=0,
            max=1,
            metavar="SHARE",
            help="Share of rejected films above which drift is reported.",
        ),
    ] = 0.05,
    bundle: options.BundleOption = None,
    as_json: options.AsJson = False,
) -> None:
    """Check for drift since verification.

    Or since an earlier time, with --against earlier.

    It does not know any diagnosis. It detects that films or predictions no longer resemble those
    that the bundle was verified on, not that predictions are wrong. A changed prevalence is
    corrected for and not reported (it is, with --against earlier).

    Exit code 4 when a limit was exceeded.
    """
    from cxr_edge.monitoring.drift import DriftLimits

    if against is Against.EARLIER and since is None:
        raise InvalidRequest("--against earlier needs --since, which says where earlier ends")
    check = cxr_edge.check_drift(
        log,
        bundle=bundle,
        since=since,
        against=against.value,
        limits=DriftLimits(max_psi, max_ks, max_rejected),
        plot=output,
    )
    if output is not None and check.plot is None:
        say(f"warning: {output}: not drawn; {'; '.join(check.not_compared)}")
    if as_json:
        content = asdict(check.drift) | {
            "against": check.against,
            "not_compared": check.not_compared,
            "positives": check.positives and asdict(check.positives),
            "bundle": check.bundle.digest,
            "notice": check.bundle.manifest.notice,
        }
        typer.echo(json.dumps(content))
    else:
        _print(check)
    if check.drift.missed:
        raise LimitMissed(
            f"{log}: {'; '.join(check.drift.missed)}. Look at the films before you trust further "
            "predictions"
        )


def _print(check: "DriftCheck") -> None:
    drift, positives = check.drift, check.positives
    reference = (
        f"{drift.reference_films:,} earlier ones"
        if check.against == Against.EARLIER
        else f"a mixture of verification films (equivalent to {drift.reference_films:,} films)"
    )
    was_compared = drift.probability is not None or drift.distance is not None
    if was_compared and not drift.missed:
        typer.echo("OK: no limit is exceeded")
    typer.echo(
        f"{drift.films:,} films of the log"
        + (f", compared with {reference}" if was_compared else "")
    )
    if drift.probability is not None:
        typer.echo("                 PSI     KS")
    for name, shift in (("probability", drift.probability), ("gate distance", drift.distance)):
        if shift is not None:
            typer.echo(f"{name:<13}  {shift.psi:>6.3f}  {shift.ks:>5.3f}")
    typer.echo(f"rejected       {drift.rejected:>6.1%}, {drift.reference_rejected:.1%} before")
    for sentence in check.not_compared:
        typer.echo(sentence)
    for words in drift.within_chance:
        typer.echo(f"{words}, but no more than chance gives with so few films")
    if positives is not None:
        typer.echo(
            f"compared as if {positives.fitted:.0%} of the films showed "
            f"{check.bundle.manifest.positive_label}, which fits best; at verification "
            f"{positives.verified:.0%} did"
        )
    typer.echo(f"{notice_of(check.bundle)}.")
