"""The sections of a conversion's report: verdict, variants, changed predictions, gate, origin."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from cxr_edge_convert.artifacts.drawings import DRAWN
from cxr_edge_convert.report.changed_predictions import changed_predictions_figure
from cxr_edge_convert.report.conversion_report import ConversionReport, LocatorReport, VariantReport
from cxr_edge_convert.report.quantization_section import quantization_section
from cxr_edge_convert.report.tables import (
    BUSY,
    cost_table,
    difference_table,
    is_disturbed,
    metric_cells,
    quality_table,
)
from cxr_edge_convert.variants import FLOAT32
from cxr_edge_train.reporting.page import Picture, Section, Table

# Times that differ by less are the same.
_FASTER = 1.1
_LISTED = 40  # changed predictions beyond are in the JSON


def verdict(report: ConversionReport) -> str:
    """The outcome in one line."""
    passed = [variant.name for variant in report.variants if variant.passed]
    rejected = [variant.name for variant in report.rejected]
    words = [f"Passed: {', '.join(passed)}." if passed else "No variant passed."]
    if rejected:
        words.append(f"Rejected: {', '.join(rejected)}.")
    return " ".join(words)


def recommendation(report: ConversionReport) -> str:
    """What to use, in one line that needs no knowledge of models; empty where nothing passed."""
    best = report.recommended
    if best is None:
        return ""
    floats = [v for v in report.variants if v.format == best.format and v.quantization == FLOAT32]
    size = f"{1 / best.ratio_to_float32:.1f}x smaller than float32" if floats != [best] else ""
    times = [variant.timings[0] for variant in (best, *floats[:1])]
    # A time that other work disturbed is no recommendation.
    quiet = floats and not any(is_disturbed(timing) for timing in times)
    time = times[1].p50_ms / times[0].p50_ms if quiet else 1.0
    speed = f"{time:.1f}x faster" if time >= _FASTER else f"{1 / time:.1f}x slower" if (
        time <= 1 / _FASTER
    ) else ""  # fmt: skip
    measured = (best.at_point, *([best.default_session] if best.default_session else []))
    lost = max((verification.recall_lost for verification in measured), key=lambda lost: lost.net)
    negative, positive = report.labels
    films = f"of {lost.n} {positive} films"
    loss = f"finds {-lost.net} more {films}" if lost.net < 0 else (
        f"loses {lost.net or 'none'} {films} on balance"
    )  # fmt: skip
    alarms = max((each.specificity_lost for each in measured), key=lambda lost: lost.net)
    more = (
        f"labels {alarms.net} more of {alarms.n} {negative} films {positive}"
        if alarms.net > 0
        else ""
    )
    if report.limits.looser:
        advice = "within limits that are looser than the defaults, so not recommended"
    elif best.warnings:
        advice = "recommended, with the warnings below"
    else:
        advice = "recommended"
    return f"{best.name}: {', '.join(filter(None, (size, speed, loss, more)))}; {advice}."


def report_sections(
    report: ConversionReport, pictures: Mapping[str, Picture], folder: Path
) -> list[Section]:
    """All sections, in their order.

    Args:
        report: what was made.
        pictures: ``size``, ``latency``, ``shift`` and, where there are INT8 variants, ``errors``.
        folder: the folder of the conversion, where the films of changed predictions lie.
    """
    refits = [variant for variant in report.variants if variant.refit]
    quantized = [variant for variant in report.variants if variant.calibration]
    gated = [variant for variant in report.variants if variant.gate]
    return [
        _verdict_section(report),
        _variants_section(report, pictures),
        _changes_section(report, pictures, folder),
        *([_refit_section(refits)] if refits else []),
        *([quantization_section(quantized, pictures)] if quantized else []),
        *([_gate_section(gated)] if gated else []),
        _origin_section(report),
    ]


def _verdict_section(report: ConversionReport) -> Section:
    limits = report.limits
    missing = [
        words
        for output, words in (
            ("cam", "no heat map can be shown"),
            ("embedding", "films cannot be checked by an input gate"),
        )
        if output not in report.source.outputs
    ]
    words = [
        verdict(report),
        f"Limits: recall −{limits.max_recall_drop:g}, specificity "
        f"−{limits.max_specificity_drop:g}, AUC −{limits.max_auc_drop:g}, agreement ≥ "
        f"{limits.min_agreement:g}.",
    ]
    if limits.looser:
        words.append(f"These are looser than the defaults: {'; '.join(limits.looser)}.")
    words += [f"Warning, {v.name}: {said}." for v in report.variants for said in v.warnings]
    if missing:
        words.append(f"The model's graph does not allow everything: {'; '.join(missing)}.")
    alarms = (f"{v.name}: {'; '.join(v.verification.failures)}." for v in report.rejected)
    return Section("Verdict", words, lead=recommendation(report), alarm=" ".join(alarms))


def _variants_section(report: ConversionReport, pictures: Mapping[str, Picture]) -> Section:
    point = report.operating_point
    return Section(
        "Variants",
        [
            "Measured on validation images not used for calibration, at the threshold "
            f"{point.threshold:.4f}, temperature {point.temperature:.4f} and bias {point.bias:.4f} "
            f"that were frozen for the float model ({point.rule}). Brackets hold 95% intervals. "
            "Drops and agreement compare a variant with the float model in Keras on the same "
            "images. “Recall drop, upper bound” is the upper end of the one-sided 95% interval of "
            "the drop in recall.",
            "“Size / Keras” and “size / float32” are the bytes of a variant divided by those of "
            "the Keras model and by those of float32 in the same format. Times are the median and "
            "the 95th percentile of one inference. Memory is that of a process that does nothing "
            "else. Both were measured on the machine that converted.",
            *(
                [
                    f"Times marked {BUSY} were measured while the machine was busy: "
                    "measure them again."
                ]
                if any(is_disturbed(time) for v in report.variants for time in v.timings)
                else []
            ),
        ],
        tables=[quality_table(report), difference_table(report), cost_table(report)],
        pictures=[pictures["size"], pictures["latency"]],
    )


def _changes_section(
    report: ConversionReport, pictures: Mapping[str, Picture], folder: Path
) -> Section:
    rows = [
        [
            variant.name,
            PurePosixPath(change.path).name,
            change.label,
            f"{change.before:.3f}",
            f"{change.after:.3f}",
        ]
        for variant in report.variants
        for change in (*variant.verification.to_positive, *variant.verification.to_negative)
    ]
    words = ["No variant changes a prediction."] if not rows else []
    if len(rows) > _LISTED:
        words.append(f"The first {_LISTED} of {len(rows)} are listed; report.json has all.")
    films = [
        Picture(
            file,
            f"Films whose prediction {variant.name} changes, with the float model's activation "
            "map where it has one.",
        )
        for variant in report.variants
        if (file := changed_predictions_figure(folder, variant.name)).exists()
    ]
    table = Table(
        ["variant", "image", "label", "probability, Keras", "probability, variant"], rows[:_LISTED]
    )
    return Section(
        "Changed predictions",
        words,
        tables=[table] if rows else [],
        pictures=[pictures["shift"], *films],
    )


def _refit_section(variants: Sequence[VariantReport]) -> Section:
    rows = []
    for variant in variants:
        if own := variant.refit:
            verified = metric_cells(variant.verification.metrics)[:2]
            rows += [
                [variant.name, "as verified", "float's", "float's", "float's", *verified],
                [
                    variant.name,
                    "refitted",
                    f"{own.threshold:.4f}",
                    f"{own.temperature:.4f}",
                    f"{own.bias:.4f}",
                    *metric_cells(own.metrics)[:2],
                ],
            ]
    columns = [
        "variant", "operating point", "threshold", "temperature", "bias", "recall", "specificity",
    ]  # fmt: skip
    return Section(
        "Refitted operating points",
        [
            "After the verdict, threshold, temperature and bias were fitted to each variant's own "
            "validation logits, and its bundle uses them. They were chosen on the images that they "
            "are measured on, so the metrics are slightly optimistic."
        ],
        tables=[Table(columns, rows)],
    )


def _gate_section(variants: Sequence[VariantReport]) -> Section:
    columns = [
        "variant", "suspicious beyond", "rejected beyond", "validation: suspicious and rejected",
        "altered films rejected", "other images rejected",
    ]  # fmt: skip
    rows = []
    gates = {variant.name: gate for variant in variants if (gate := variant.gate)}
    for name, gate in gates.items():
        others = Counter[str]()
        for counts in gate.non_films.values():
            others.update(counts)
        rows.append(
            [
                name,
                f"{gate.suspicious:.1f}",
                f"{gate.rejected:.1f}",
                f"{gate.validation.get('suspicious', 0)} and {_share(gate.validation, 'rejected')}",
                _share(gate.augmented, "rejected"),
                _share(others, "rejected"),
            ]
        )
    words = [
        "Before a probability is shown, the input gate measures how far a film is from the "
        "training films. A film beyond the first limit is suspicious, one beyond the second is "
        "rejected unless a lung locator finds lungs in it. The first limit is the 99% quantile of "
        "validation films, the second the 97% quantile of training films that were altered to look "
        "different. The counts of both in the table are of the films that set these limits."
    ]
    drawn = any(name.startswith(DRAWN) for gate in gates.values() for name in gate.non_films)
    words.append(
        "The other images are built-in drawings, since none were given; how many photographs or "
        "other X-rays the gate rejects is unknown."
        if drawn
        else "The other images are the out-of-distribution images that were given; they set no "
        "limit of this model."
    )
    return Section("Input gate", words, tables=[Table(columns, rows)])


def _share(counts: Mapping[str, int], verdict: str) -> str:
    total = sum(counts.values())
    return f"{counts.get(verdict, 0)} of {total}" if total else "–"


def _locator_words(locator: LocatorReport | None) -> list[str]:
    if locator is None:
        return []
    sizes = " and ".join(f"{size:,} bytes ({format})" for format, size in locator.bytes.items())
    return [
        f"The model gets the box of the lungs, enlarged {locator.margin:g} times in width and "
        f"height. It is found by a lung locator of {sizes}, whose time is part of each inference."
    ]


def _origin_section(report: ConversionReport) -> Section:
    source = report.source
    rows = [[variant.name, variant.folder, variant.sha256] for variant in report.variants]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return Section(
        "Provenance",
        [
            f"Architecture {source.architecture}, initial weights {source.weights}, seed "
            f"{source.seed}. Float model SHA-256 {source.model_sha256}, digest of its "
            f"data set (splits, labels and images) {source.dataset_digest}.",
            f"{versions}, on {report.machine}.",
            *_locator_words(source.locator),
        ],
        tables=[Table(["variant", "folder", "SHA-256 of the model"], rows)],
    )
