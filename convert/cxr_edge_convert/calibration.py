"""A bundle fitted to the films of a site: its probability, its threshold and its gate's limit.

The weights stay as they are, and Keras is not needed. Films that the metadata calls test are never
looked at.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr_edge_convert.bundling.sealing import seal
from cxr_edge_convert.limits import MIN_SITE_FILMS
from cxr_edge_convert.new_folder import appearing_at_once
from cxr_edge_convert.site_artifacts import (
    golden_films_of,
    moved_reference,
    reference_of,
    with_manifest,
)
from cxr_edge_convert.variants import ONNX
from cxr_edge_runtime.arguments import as_path, as_whole_number, check_callables, check_share
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import (
    LIMITS_HEADING,
    LOOSE_SUFFIX,
    NOTICE,
    REFERENCE_FILE,
    REJECTED_SUFFIX,
    SELFTEST_FILE,
    GateLimits,
    Manifest,
    Name,
    Site,
    Threshold,
)
from cxr_edge_runtime.classifier import as_threads
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_runtime.gate import REJECTED
from cxr_edge_runtime.probability import at_prevalence, check_prevalence
from cxr_edge_runtime.typed_json import TypedJsonError, from_json
from cxr_edge_train.dataset.class_names import ClassNames, positives
from cxr_edge_train.dataset.metadata import images_root, read_metadata
from cxr_edge_train.dataset.test_films import DEFAULT_SPLITS, without_test_films
from cxr_edge_train.defaults import MIN_SENSITIVITY
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.predictions import predict, predict_folder
from cxr_edge_train.evaluation.site_metrics import cross_fitted_site_metrics, site_metrics
from cxr_edge_train.evaluation.subject import Answers, check_names, own_film_warnings
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.intervals import Interval
from cxr_edge_train.statistics.operating_point import OperatingPoint, fit_operating_point
from cxr_edge_train.statistics.soundness import has_reversed_labels, soundness_warnings

# Fewer cannot be divided into parts to measure on.
_FEWEST = 10
# The share of a site's films that are suspicious for their distance alone, as in conversion.
_SUSPICIOUS = 0.99
_CHOSEN_ON = "local"


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What fitting a bundle to the films of a site gave.

    Attributes:
        bundle: the new bundle.
        before: metrics of the given bundle on the site's films, by name; empty where their labels
            are not known.
        after: the same of films held out of the fit, which the new bundle would have.
        beyond_before: number of the site's films beyond the gate's limit, which makes them
            suspicious; None where there is no gate.
        beyond_after: the same with the new limit.
        warnings: what the user should know, one sentence each.
    """

    bundle: Bundle
    before: Mapping[str, Interval]
    after: Mapping[str, Interval]
    beyond_before: int | None
    beyond_after: int | None
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The result in the form of JSON."""
        return {
            "bundle": self.bundle.manifest.name,
            "digest": self.bundle.digest,
            "before": {name: asdict(value) for name, value in self.before.items()},
            "after": {name: asdict(value) for name, value in self.after.items()},
            "beyond_before": self.beyond_before,
            "beyond_after": self.beyond_after,
            "warnings": list(self.warnings),
            "notice": NOTICE,
        }


@dataclass(frozen=True, slots=True)
class _Fit:
    point: OperatingPoint
    labels: tuple[int, int]
    before: Mapping[str, Interval]
    after: Mapping[str, Interval]


def calibrate(
    bundle: Bundle,
    films: str | Path,
    output: str | Path,
    *,
    splits: str | Path = DEFAULT_SPLITS,
    site: str = "local",
    min_sensitivity: float = MIN_SENSITIVITY,
    min_films: int = MIN_SITE_FILMS,
    prevalence: float | None = None,
    root: str | Path | None = None,
    threads: int = 1,
    progress: ProgressFactory = no_progress,
) -> CalibrationResult:
    """Fit a bundle's probability, threshold and gate to the films of a site, and write a new one.

    Temperature, bias and threshold are fitted to labelled films by the rule of training; the limit
    beyond which a film is suspicious becomes the 99th percentile of the site's films, whatever
    their labels. The weights stay. Films that the gate rejects get no answer, so they are left out.

    Args:
        bundle: a loaded bundle.
        films: ``clean_metadata.csv`` of labelled films, of which those called test are left out; or
            a folder of films whose labels are not known.
        output: the folder of the new bundle; it is missing or empty.
        splits: what it calls test is left out, too; the default file may be missing.
        site: what the site is called; the new bundle's name ends with it.
        min_sensitivity: the lowest sensitivity that the threshold may have on the site's films.
        min_films: how many films of each label are needed, at least 10. Fewer than 50 are stated in
            the bundle and its card.
        prevalence: of a folder, the share of positive films at the site: probability and threshold
            are moved to it, and no decision changes.
        root: folder that the paths in the metadata are relative to; None for the metadata's own.
        threads: threads of the engine.
        progress: makes the progress bar over the films.

    Returns:
        The new bundle, and its metrics before and after, cross-fitted by patient.

    Raises:
        InvalidRequest: an argument is of the wrong type or out of range, the output holds
            something, the labels are not the bundle's, or the prevalence is missing for a folder or
            given with labels.
        DatasetError: there are too few films of a label, or metadata or films are damaged.
        BundleInvalid: the bundle is damaged.
        EngineError: the engine failed.

    Examples:
        >>> from cxr_edge import Bundle, calibrate
        >>> bundle = Bundle.load("bundles/tiny-int8")
        >>> result = calibrate(bundle, "clean_metadata.csv", "tiny-here", site="here")
        >>> result.bundle.manifest.name, result.bundle.manifest.site.derived_from == bundle.digest
        ('tiny-int8-here', True)
    """
    films, output = as_path(films, "films"), as_path(output, "output")
    check_share(min_sensitivity, "min_sensitivity")
    min_films = as_whole_number(min_films, "min_films", minimum=_FEWEST)
    check_callables(progress=progress)
    _check_site(site, bundle)
    check_folder(output, "empty", ours=lambda _: False, anew=True)
    subject = BundleSubject(bundle, threads=as_threads(threads))
    if films.is_dir():
        if prevalence is None:
            raise InvalidRequest(
                f"{films}: is a folder, so labels are unknown; state the share of positive films "
                "(prevalence), or name the clean_metadata.csv of labelled films"
            )
        check_prevalence(prevalence, bundle.manifest)
        _, answers, unread = predict_folder(subject, films, progress=progress)
        warnings: tuple[str, ...] = ()
        if unread:
            warnings = (f"{counted(unread, 'film')} left out (unreadable)",)
        fit = _Fit(_at_prevalence(subject.operating_point, prevalence), (0, 0), {}, {})
        reference = moved_reference(bundle, prevalence)
    else:
        if prevalence is not None:
            raise InvalidRequest(
                "the prevalence of labelled films follows from their labels; leave prevalence out"
            )
        root = images_root(root, default=films.resolve().parent)
        splits = as_path(splits, "splits")
        table, answers, warnings = _of_metadata(subject, films, splits, root, min_films, progress)
        answered = np.array(answers.verdicts) != REJECTED
        rows, logits = table[answered].reset_index(drop=True), answers.logits[answered]
        counts = _enough(rows, subject, films, min_films)
        point = fit_operating_point(
            logits,
            positives(rows),
            min_sensitivity=min_sensitivity,
            chosen_on=_CHOSEN_ON,
            smoothed=True,
        )
        fit = _Fit(
            point,
            counts,
            site_metrics(logits, rows, subject.operating_point),
            cross_fitted_site_metrics(logits, rows, min_sensitivity=min_sensitivity),
        )
        if has_reversed_labels(fit.after):
            raise DatasetError(
                f"{films}: the labels seem to be swapped for this bundle, whose AUC on these films "
                f"is {fit.after['auc']}; map them to its labels again"
            )
        reference = reference_of(bundle, point, table, answers)
    if bundle.manifest.is_rejected:
        warnings += ("the model missed an accuracy limit when it was converted",)
    if rejected := answers.verdicts.count(REJECTED) if answers.verdicts else 0:
        warnings += (f"{counted(rejected, 'film')} left out of the fit (rejected by the gate)",)
    manifest = _manifest(bundle, subject.names, fit, answers, site)
    assert manifest.site is not None
    if manifest.gate is not None and not manifest.site.films:
        warnings += (f"fewer than {MIN_SITE_FILMS} films, so the limits of the gate are unchanged",)
    contents = {name: bundle.read(name) for name in manifest.files}
    if manifest.model.format == ONNX:
        contents[manifest.model.file] = with_manifest(bundle.model, manifest)
    if reference is not None:
        contents[REFERENCE_FILE] = reference
    if SELFTEST_FILE in contents:
        contents[SELFTEST_FILE] = golden_films_of(bundle, manifest)
    with appearing_at_once(output) as staging:
        seal(staging, manifest, contents, more={LIMITS_HEADING: _card_text(manifest)})
    return CalibrationResult(
        Bundle.load(output),
        fit.before,
        fit.after,
        _beyond(bundle.manifest, answers),
        _beyond(manifest, answers),
        (*warnings, *manifest.site.warnings),
    )


def _beyond(manifest: Manifest, answers: Answers) -> int | None:
    if manifest.gate is None or answers.distances is None:
        return None
    return int((answers.distances > manifest.gate.suspicious).sum())


def _check_site(site: str, bundle: Bundle) -> None:
    """A site's name is a word of its own, and ends the new bundle's."""
    name = f"{bundle.manifest.name}-{site}"
    try:
        from_json(Name, site, path="site")
        from_json(Name, name, path="site")
    except TypedJsonError:
        raise InvalidRequest(
            f"site {site!r}: use letters, digits and . _ + -, and a shorter name if it is long"
        ) from None
    if name.endswith((REJECTED_SUFFIX, LOOSE_SUFFIX)):
        raise InvalidRequest(
            f"site {site!r}: names of rejected or loosely verified bundles end like this; "
            "choose another"
        )


def _of_metadata(
    subject: BundleSubject,
    file: Path,
    splits: Path,
    root: Path,
    needed: int,
    progress: ProgressFactory,
) -> tuple[pd.DataFrame, Answers, tuple[str, ...]]:
    metadata = read_metadata(file)
    check_names(subject, metadata, file)
    table, left_out = without_test_films(file, metadata, splits)
    _enough(table, subject, file, needed)  # before minutes of reading
    warnings = (*left_out, *own_film_warnings(subject, table))
    predictions, answers = predict(subject, table, root=root, progress=progress)
    return predictions, answers, warnings


def _enough(rows: pd.DataFrame, subject: BundleSubject, file: Path, needed: int) -> tuple[int, int]:
    positive = int(positives(rows).sum())
    counts = (len(rows) - positive, positive)
    for name, number in zip(subject.names, counts):
        if number < needed:
            raise DatasetError(
                f"{file}: has {counted(number, 'film')} labelled {name} to fit to, at least "
                f"{needed} are needed ({needed - number} more)"
                + (
                    ". Fewer can be allowed (min_films); the bundle then says so"
                    if needed > _FEWEST
                    else ""
                )
            )
    return counts


def _at_prevalence(point: OperatingPoint, prevalence: float) -> OperatingPoint:
    """The same decisions, with probabilities for another prevalence (Saerens et al. 2002)."""
    stated = point.prevalence
    assert stated is not None  # checked before
    ratio = math.log(prevalence / (1 - prevalence) * (1 - stated) / stated)
    return replace(
        point,
        bias=point.bias + point.temperature * ratio,
        threshold=at_prevalence(point.threshold, stated=stated, wanted=prevalence),
        prevalence=prevalence,
    )


def _manifest(
    bundle: Bundle, names: ClassNames, fit: _Fit, answers: Answers, site: str
) -> Manifest:
    manifest, point = bundle.manifest, fit.point
    negatives, positive = fit.labels
    limits, measured = _limits(manifest, answers)
    # A new prevalence does not make few films many.
    few = [*manifest.site.warnings] if manifest.site and not fit.after else []
    if fit.after:
        few += soundness_warnings(fit.after, point, names, on="the site")
    if fit.after and min(fit.labels) < MIN_SITE_FILMS:
        few.append(
            f"fitted to {negatives} films labelled {names.negative} and {positive} labelled "
            f"{names.positive}; at least {MIN_SITE_FILMS} of each are recommended"
        )
    # A log loss is no share, as the metrics of a manifest are.
    metrics = {_CHOSEN_ON: {name: fit.after[name] for name in fit.after if name != "log_loss"}}
    if not fit.after:
        # What a prevalence does not change.
        kept = ("auc", "sensitivity", "specificity")
        metrics = {
            split: {name: value for name, value in values.items() if name in kept}
            for split, values in manifest.metrics.items()
        }
    return replace(
        manifest,
        name=f"{manifest.name}-{site}",
        temperature=point.temperature,
        bias=point.bias,
        prevalence=point.prevalence,
        threshold=Threshold(point.threshold, point.rule, point.chosen_on),
        gate=limits,
        metrics=metrics,
        site=Site(site, bundle.digest, negatives, positive, measured, tuple(few)),
    )


def _limits(manifest: Manifest, answers: Answers) -> tuple[GateLimits | None, int]:
    """The gate's limits on the films of the site, and on how many they rest."""
    if manifest.gate is None or answers.distances is None or answers.verdicts is None:
        return manifest.gate, 0
    distances = answers.distances[np.array(answers.verdicts) != REJECTED]
    distances = distances[np.isfinite(distances)]
    if len(distances) < MIN_SITE_FILMS:
        return manifest.gate, 0
    suspicious = float(np.quantile(distances, _SUSPICIOUS))
    # What is usual at the site is no reason to reject.
    return GateLimits(suspicious, max(suspicious, manifest.gate.rejected)), len(distances)


def _card_text(manifest: Manifest) -> str:
    site, positive = manifest.site, manifest.positive_label
    assert site is not None
    [negative] = set(manifest.labels) - {positive}
    fitted = (
        f"{site.negatives} films labelled {negative} and {site.positives} labelled "
        f"{positive}; the metrics below are of films held out of the fit"
        if site.positives
        else f"a stated prevalence of {manifest.prevalence:.1%}, without labelled films; the "
        "metrics below are those of the original bundle"
    )
    gate = f" The limit of the gate was set on {counted(site.films, 'film')}." if site.films else ""
    return "".join(
        f"- {line}\n"
        for line in (
            f"Calibrated for the site {site.name} on {fitted}.\n {gate} The weights are those of "
            f"the bundle with the digest\n  `{site.derived_from}`, whose card says how they were "
            "made.",
            *(f"**Warning:** {text}." for text in site.warnings),
        )
    )
