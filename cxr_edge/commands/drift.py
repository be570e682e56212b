"""``cxr-edge drift``."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import say
from cxr_edge_runtime.errors import InvalidRequest, LimitMissed, LogError

if TYPE_CHECKING:
    from cxr_edge.monitoring.drift import Drift
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.reference import PredictionDistribution


class Against(StrEnum):
    """What a log's answers are compared with."""

    BUNDLE = "bundle"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Shares:
    """Of films with the finding: that fits the log best, and that of verification."""

    fitted: float
    verified: float


# Of a figure, by which it is known again.
_TITLE = "cxr-edge drift"
_NAMES = {Against.BUNDLE: "verification", Against.EARLIER: "earlier"}


def drift(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="Written by classify, serve or score with --log.")
    ],
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="Look at films from then on, UTC; at all without it.",
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
        Path | None, typer.Option("--output", "-o", metavar="PNG", help="Draw a figure.")
    ] = None,
    max_psi: Annotated[
        float, typer.Option("--max-psi", min=0, help="Population stability index that is no drift.")
    ] = 0.25,
    max_ks: Annotated[
        float, typer.Option("--max-ks", min=0, max=1, help="Kolmogorov-Smirnov distance likewise.")
    ] = 0.2,
    max_rejected: Annotated[
        float,
        typer.Option(
            "--max-rejected", min=0, max=1, help="Share of films that the gate may reject."
        ),
    ] = 0.05,
    bundle: options.BundleOption = None,
    as_json: options.AsJson = False,
) -> None:
    """Say whether films and answers are still as at verification.

    Or as at an earlier time, with --against earlier.

    It knows no diagnoses: it sees that films or their answers are no longer those that the figures
    of the bundle were measured on, not whether the answers are wrong. Another share of findings is
    fitted and no drift; with --against earlier it is.

    Exit code 4 when a limit was passed.
    """
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge.monitoring.drift import MIN_FILMS, Limits, find_drift, fitting_share
    from cxr_edge.monitoring.log_reader import read_distribution
    from cxr_edge.monitoring.prediction_log import timestamp
    from cxr_edge_runtime.bundle.reference import VerifiedPredictions

    if against is Against.EARLIER and since is None:
        raise InvalidRequest("--against earlier needs --since, which says where earlier ends")
    if output is not None:
        _check_replaceable(output)
    loaded = load_bundle(bundle)
    start = None if since is None else timestamp(since.replace(tzinfo=UTC))
    answers = read_distribution(log, bundle=loaded.digest, since=start)
    _require(answers.films, f"{log}: {answers.films} film{'' if answers.films == 1 else 's'}")
    few = answers.answered < MIN_FILMS
    shares = None
    if against is Against.EARLIER:
        reference = read_distribution(log, bundle=loaded.digest, before=start)
        _require(
            reference.answered,
            f"{log}: {reference.answered} films before {start} that were not rejected",
        )
    else:
        verified = VerifiedPredictions.of_bundle(loaded)
        fitted = verified.share if few else fitting_share(verified, answers)
        shares = Shares(fitted, verified.share)
        reference = verified.mixed(fitted)
    found = find_drift(reference, answers, Limits(max_psi, max_ks, max_rejected))
    if not found.missed:
        _require(answers.answered, f"{log}: {answers.answered} films that were not rejected")
    if output is not None and few:
        say(f"warning: {output}: not drawn, nearly all films were rejected")
    elif output is not None:
        _draw(output, reference, answers, found, against, loaded)
    if as_json:
        import json

        typer.echo(
            json.dumps(
                asdict(found)
                | {
                    "against": against.value,
                    "positives": shares and asdict(shares),
                    "bundle": loaded.digest,
                    "notice": loaded.manifest.notice,
                }
            )
        )
    else:
        _print(found, shares, against, loaded)
    if found.missed:
        raise LimitMissed(
            f"{log}: {'; '.join(found.missed)}. Look at the films before you trust further answers"
        )


def _require(films: int, words: str) -> None:
    """Refuse so few films that chance alone could look like drift."""
    from cxr_edge.monitoring.drift import MIN_FILMS

    if films < MIN_FILMS:
        raise LogError(f"{words}; at least {MIN_FILMS} are needed to tell drift from chance")


def _check_replaceable(output: Path) -> None:
    """Refuse to replace what a slip of the hand may have named: a film above all."""
    from PIL import Image

    if output.suffix.lower() != ".png":
        raise InvalidRequest(f"--output {output}: is drawn as PNG; name a file that ends with .png")
    if not output.exists():
        return
    try:
        with Image.open(output) as image:
            ours = image.info.get("Title") == _TITLE
    except OSError:
        ours = False
    if not ours:
        raise InvalidRequest(
            f"--output {output}: is there and is no figure of drift; choose another file"
        )


def _print(found: "Drift", shares: Shares | None, against: Against, bundle: "Bundle") -> None:
    from cxr_edge.bundles.lookup import notice_of

    typer.echo(f"{found.films:,} films of the log, {found.reference_films:,} of {_NAMES[against]}")
    typer.echo("                 PSI     KS")
    for name, shift in (("probability", found.probability), ("gate distance", found.distance)):
        if shift is not None:
            typer.echo(f"{name:<13}  {shift.psi:>6.3f}  {shift.ks:>5.3f}")
    typer.echo(f"rejected       {found.rejected:>6.1%}, {found.reference_rejected:.1%} before")
    if shares is not None:
        typer.echo(
            f"compared as if {shares.fitted:.0%} of the films showed "
            f"{bundle.manifest.positive_label}, which fits best; at verification "
            f"{shares.verified:.0%} did"
        )
    typer.echo(f"{notice_of(bundle)}.")


def _draw(
    output: Path,
    reference: "PredictionDistribution",
    answers: "PredictionDistribution",
    found: "Drift",
    against: Against,
    bundle: "Bundle",
) -> None:
    from cxr_edge.monitoring.drift_figure import draw_drift
    from cxr_edge_train.reporting.figures import save_figure

    manifest = bundle.manifest
    figure = draw_drift(
        reference,
        answers,
        found,
        against=_NAMES[against],
        threshold=manifest.threshold.value,
        rejected_from=manifest.gate.rejected if manifest.gate else None,
    )
    save_figure(figure, output, title=_TITLE)
