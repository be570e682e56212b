"""``cxr-edge drift``."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge import options
from cxr_edge_runtime.errors import InvalidRequest, LimitMissed, LogError

if TYPE_CHECKING:
    from cxr_edge_runtime.answer_distribution import AnswerDistribution
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_train.evaluation.drift import Drift


class Against(StrEnum):
    """What a log's answers are compared with."""

    BUNDLE = "bundle"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Shares:
    """Of films with the finding: that fits the log best, and that of verification."""

    fitted: float
    verified: float


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
    of the bundle were measured on, not whether the answers are wrong.

    Exit code 4 when a limit was passed.
    """
    from cxr_edge.bundles import load_bundle
    from cxr_edge.prediction_log import read_answers, written
    from cxr_edge_runtime.answer_distribution import VerifiedAnswers
    from cxr_edge_train.evaluation.drift import Limits, find_drift, fitting_share

    if against is Against.EARLIER and since is None:
        raise InvalidRequest("--against earlier needs --since, which says where earlier ends")
    if output is not None and output.suffix.lower() != ".png":
        raise InvalidRequest(f"--output {output}: is drawn as PNG; name a file that ends with .png")
    loaded = load_bundle(bundle)
    start = None if since is None else written(since.replace(tzinfo=UTC))
    answers = _enough(read_answers(log, bundle=loaded.digest, since=start), f"{log}")
    shares = None
    if against is Against.EARLIER:
        earlier = read_answers(log, bundle=loaded.digest, before=start)
        reference = _enough(earlier, f"{log}, before {start}")
    else:
        verified = VerifiedAnswers.of_bundle(loaded)
        shares = Shares(fitting_share(verified, answers), verified.share)
        reference = _enough(verified.mixed(shares.fitted), f"{loaded.path}")
    found = find_drift(reference, answers, Limits(max_psi, max_ks, max_rejected))
    if output is not None:
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


def _enough(answers: "AnswerDistribution", where: str) -> "AnswerDistribution":
    """Refuse so few films that chance alone could look like drift."""
    from cxr_edge_train.evaluation.drift import MIN_FILMS

    if answers.answered < MIN_FILMS:
        raise LogError(
            f"{where}: {answers.answered} films that were not rejected; at least {MIN_FILMS} are "
            "needed to tell drift from chance"
        )
    return answers


def _print(found: "Drift", shares: Shares | None, against: Against, bundle: "Bundle") -> None:
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
    typer.echo(
        f"{bundle.manifest.notice} "
        f"Model: {bundle.manifest.name} {bundle.manifest.version} ({bundle.digest[:12]})."
    )


def _draw(
    output: Path,
    reference: "AnswerDistribution",
    answers: "AnswerDistribution",
    found: "Drift",
    against: Against,
    bundle: "Bundle",
) -> None:
    from cxr_edge_train.evaluation.drift_figure import draw_drift
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
    save_figure(figure, output)
