"""The drift check, from a log of predictions to its result."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.monitoring.drift import MIN_FILMS, Drift, DriftLimits, find_drift, fitting_share
from cxr_edge.monitoring.log_reader import read_distribution
from cxr_edge.monitoring.prediction_log import timestamp
from cxr_edge_runtime.arguments import as_path, optional_path
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions
from cxr_edge_runtime.errors import InvalidRequest, LogError
from cxr_edge_runtime.files.outputs import check_file

# What predictions are compared with.
BUNDLE, EARLIER = "bundle", "earlier"
# What a plot calls the films of the reference.
REFERENCE_NAMES = {BUNDLE: "verification, mixed", EARLIER: "earlier"}
# Of a plot, by which it is known again.
_TITLE = "cxr-edge drift"
# The title stands before the pixels.
_HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class PositiveShares:
    """Shares of films with the finding, 0 to 1.

    Attributes:
        fitted: the share that fits the log best.
        verified: the share at verification.
    """

    fitted: float
    verified: float


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """Whether predictions have drifted.

    Attributes:
        drift: how far they are from the reference, and which limits that exceeds.
        against: ``bundle`` or ``earlier``, what they were compared with.
        positives: shares of films with the finding; None for ``earlier``, where a changed share
            counts as drift, and where too few films were answered to compare any.
        bundle: the bundle whose predictions were checked.
        plot: the file that was drawn; None where none was asked for, or too few films were answered
            to compare any.
    """

    drift: Drift
    against: str
    positives: PositiveShares | None
    bundle: Bundle
    plot: Path | None

    @property
    def not_compared(self) -> tuple[str, ...]:
        """What was not compared and why, a sentence each."""
        drift = self.drift
        if drift.probability is None:
            why = _missing(drift.answered, drift.films)
            return (f"probability and gate distance were not compared: {why}",)
        if drift.distance is None:
            return ("the gate distance was not compared: not all films have one",)
        return ()


def check_drift(
    log: str | os.PathLike[str],
    *,
    bundle: str | os.PathLike[str] | Bundle | None = None,
    since: datetime | None = None,
    against: str = BUNDLE,
    limits: DriftLimits = DriftLimits(),  # noqa: B008  # frozen
    plot: str | os.PathLike[str] | None = None,
) -> DriftCheck:
    """Check whether films or predictions are still as they were at verification, or earlier.

    It does not know any diagnosis. It detects that films or predictions no longer resemble those
    that the bundle was verified on, not that predictions are wrong. Against the verification, a
    changed prevalence is corrected for and not reported.

    Args:
        log: written by ``classify``, ``serve`` or ``score``.
        bundle: see :func:`cxr_edge.bundles.lookup.load_bundle`; only its predictions count.
        since: only films from this time on; a time without a zone is UTC. By default all.
        against: ``bundle`` compares with the films that the bundle was verified on, ``earlier``
            with those of the log before ``since``.
        limits: above which drift is reported.
        plot: PNG file to draw both distributions into.

    Returns:
        The distances from the reference, and the limits that they exceed.

    Raises:
        InvalidRequest: ``against`` is neither or lacks ``since``, or the plot would replace
            something else or cannot be written.
        LogError: no such log, or fewer than 100 answered films in it, too few to tell drift from
            chance. With 100 films or more, of which the gate rejected more than its limit, that is
            the drift which is found.
        BundleError: the bundle cannot be used.

    Examples:
        >>> check = check_drift("log.db", bundle="tiny")
        >>> check.drift.films, check.drift.missed
        (1000, ())
    """
    _check_request(since, against, limits)
    log_file = as_path(log, "log")
    plot_file = optional_path(plot, "plot")
    if plot_file is not None:
        _check_output(plot_file)
    loaded = load_bundle(bundle)
    start = None if since is None else timestamp(_as_utc(since))
    predictions = read_distribution(log_file, bundle=loaded.digest, since=start)
    few = predictions.answered < MIN_FILMS
    if predictions.films < MIN_FILMS:
        raise _too_few(f"{log_file}: ", predictions)
    positives = None
    if against == EARLIER:
        reference = read_distribution(log_file, bundle=loaded.digest, before=start)
        if reference.answered < MIN_FILMS:
            raise _too_few(f"{log_file}: before {start} ", reference)
    else:
        verified = VerifiedPredictions.of_bundle(loaded)
        fitted = verified.share if few else fitting_share(verified, predictions)
        positives = None if few else PositiveShares(fitted, verified.share)
        reference = verified.mixed(fitted)
    drift = find_drift(reference, predictions, limits)
    if few and not drift.missed:
        raise _too_few(f"{log_file}: ", predictions)
    if plot_file is not None and not few:
        _draw(plot_file, reference, predictions, drift, against, loaded)
    return DriftCheck(drift, against, positives, loaded, None if few else plot_file)


def _check_request(since: object, against: str, limits: object) -> None:
    if not isinstance(limits, DriftLimits):
        raise InvalidRequest(f"limits must be cxr_edge.DriftLimits, not {limits!r}")
    if against not in (BUNDLE, EARLIER):
        raise InvalidRequest(f"against must be bundle or earlier, not {against}")
    if since is not None and not isinstance(since, datetime):
        raise InvalidRequest(f"since must be a datetime, not {type(since).__name__}")
    if against == EARLIER and since is None:
        raise InvalidRequest(
            "comparing with earlier films needs the time at which they end (since)"
        )


def _as_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _too_few(where: str, found: PredictionDistribution) -> LogError:
    """So few films that chance alone could look like drift."""
    return LogError(f"{where}{_missing(found.answered, found.films)}")


def _missing(answered: int, films: int) -> str:
    """How many films there are, and how many more a comparison needs."""
    missing = MIN_FILMS - answered
    plural = "" if answered == 1 else "s"
    # With force a rejected film has a prediction, too, so these are not called answered.
    which = "" if answered == films else f" that the gate did not reject, of {films:,}"
    return (
        f"{answered} film{plural}{which}; at least {MIN_FILMS} are needed to tell drift from "
        f"chance ({missing} more)"
    )


def _check_output(plot: Path) -> None:
    if plot.suffix.lower() != ".png":
        raise InvalidRequest(f"{plot}: is drawn as PNG; name a file that ends with .png")
    check_file(plot, "a drift plot", ours=_is_plot)


def _is_plot(file: Path) -> bool:
    with file.open("rb") as opened:
        return f"Title\0{_TITLE}".encode() in opened.read(_HEAD_BYTES)


def _draw(
    plot: Path,
    reference: PredictionDistribution,
    predictions: PredictionDistribution,
    drift: Drift,
    against: str,
    bundle: Bundle,
) -> None:
    from cxr_edge.monitoring.drift_figure import draw_drift
    from cxr_edge_train.reporting.figures import save_figure

    manifest = bundle.manifest
    figure = draw_drift(
        reference,
        predictions,
        drift,
        against=REFERENCE_NAMES[against],
        threshold=manifest.threshold.value,
        rejected_from=manifest.gate.rejected if manifest.gate else None,
    )
    save_figure(figure, plot, title=_TITLE)
