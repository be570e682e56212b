"""The words and tables of a conversion's report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from cxr_edge_convert.report.changed_predictions import flipped_figure
from cxr_edge_convert.report.figures import short_name
from cxr_edge_convert.report.storage import Content
from cxr_edge_convert.report.tables import cost_table, difference_table, metric_cells, quality_table
from cxr_edge_train.reporting.page import Picture, Section, Table

_LISTED = 40  # changed predictions beyond are in the JSON


def verdict(content: Content) -> str:
    """The outcome in one line."""
    variants = content["variants"]
    passed = [v["name"] for v in variants if v["passed"]]
    short = [v["name"] for v in variants if not v["passed"]]
    words = [f"Passed: {', '.join(passed)}." if passed else "No variant passed."]
    if short:
        words.append(f"Rejected: {', '.join(short)}.")
    return " ".join(words)


def report_sections(
    content: Content, pictures: Mapping[str, Picture], folder: Path
) -> list[Section]:
    """All sections.

    Args:
        content: of the report.
        pictures: ``size``, ``latency``, ``shift`` and, of INT8 variants, ``errors``.
        folder: of the conversion, where the films of changed decisions lie.
    """
    variants = content["variants"]
    short = [v for v in variants if not v["passed"]]
    missing = [
        words
        for output, words in (
            ("cam", "no heat map can be shown"),
            ("embedding", "films cannot be checked by an input gate"),
        )
        if output not in content["source"]["outputs"]
    ]
    sections = [
        Section(
            "Verdict",
            [
                verdict(content),
                _limits(content),
                *(
                    [f"The model's graph does not allow everything: {'; '.join(missing)}."]
                    if missing
                    else []
                ),
            ],
            alarm=" ".join(
                f"{v['name']}: {'; '.join(v['verification']['failures'])}." for v in short
            ),
        ),
        Section(
            "Variants",
            [
                "All figures are of validation images that calibrated nothing, at the threshold "
                f"{content['operating_point']['threshold']:.4f} and temperature "
                f"{content['operating_point']['temperature']:.4f} that were frozen for float "
                f"({content['operating_point']['rule']}). Brackets hold 95% intervals; drops are "
                "against Keras on the same images. Times are the median and the 95th percentile of "
                "one inference, memory that of a process that does nothing else, both on the "
                "machine that converted.",
            ],
            tables=[quality_table(content), difference_table(content), cost_table(content)],
            pictures=[pictures["size"], pictures["latency"]],
        ),
        _flips_section(content, pictures, folder),
    ]
    refits = [v for v in variants if v["refit"]]
    if refits:
        sections.append(_refit_section(refits))
    quantized = [v for v in variants if v["calibration"]]
    if quantized:
        sections.append(_quantization_section(quantized, pictures))
    gated = [v for v in variants if v.get("gate")]  # reports of before have none
    if gated:
        sections.append(_gate_section(gated))
    sections.append(_origin_section(content))
    return sections


def _limits(content: Content) -> str:
    limits = content["limits"]
    return (
        f"A variant may lose {limits['max_recall_drop']:g} recall, "
        f"{limits['max_specificity_drop']:g} specificity and {limits['max_auc_drop']:g} AUC, and "
        f"at least {limits['min_agreement']:g} of its decisions must be float's."
    )


def _flips_section(content: Content, pictures: Mapping[str, Picture], folder: Path) -> Section:
    rows = []
    for variant in content["variants"]:
        verification = variant["verification"]
        for direction in ("to_pneumonia", "to_normal"):
            rows += [
                [
                    variant["name"],
                    PurePosixPath(flip["path"]).name,
                    flip["label"],
                    f"{flip['before']:.3f}",
                    f"{flip['after']:.3f}",
                ]
                for flip in verification[direction]
            ]
    words = ["No variant changes a decision."] if not rows else []
    if len(rows) > _LISTED:
        words.append(f"The first {_LISTED} of {len(rows)} are listed; report.json has all.")
    films = [
        Picture(
            flipped_figure(folder, variant["name"]),
            f"Films whose decision {variant['name']} changes, with the float model's activation "
            "map where it has one.",
        )
        for variant in content["variants"]
        if flipped_figure(folder, variant["name"]).exists()
    ]
    table = Table(["variant", "image", "label", "Keras", "variant's"], rows[:_LISTED])
    return Section(
        "Changed decisions",
        words,
        tables=[table] if rows else [],
        pictures=[pictures["shift"], *films],
    )


def _refit_section(variants: Sequence[dict[str, Any]]) -> Section:
    rows = []
    for variant in variants:
        refit, before = variant["refit"], variant["verification"]["metrics"]
        for when, metrics, point in (
            ("as verified", before, None),
            ("fitted anew", refit["metrics"], refit),
        ):
            rows.append(
                [
                    variant["name"],
                    when,
                    f"{point['threshold']:.4f}" if point else "float's",
                    f"{point['temperature']:.4f}" if point else "float's",
                    *metric_cells(metrics)[:2],
                ]
            )
    columns = ["variant", "operating point", "threshold", "temperature", "recall", "specificity"]
    return Section(
        "Operating points fitted anew",
        [
            "After the verdict, threshold and temperature were fitted to each variant's own "
            "validation logits; its bundle has these. They were chosen on the images that measure "
            "them, so their figures flatter."
        ],
        tables=[Table(columns, rows)],
    )


def _quantization_section(
    variants: Sequence[dict[str, Any]], pictures: Mapping[str, Picture]
) -> Section:
    words: list[str] = []
    alarms: list[str] = []
    for variant in variants:
        calibration, stability = variant["calibration"], variant["stability"]
        line = (
            f"{variant['name']}: {calibration['count']} images, ranges by {calibration['method']}, "
            f"seed {calibration['seed']}, digest {calibration['digest'][:12]}."
        )
        if stability:
            line += (
                f" With {stability['images']} other images the AUC changes by "
                f"{stability['auc_change']:+.4f} and {stability['flips']} decisions; the range "
                f"that changes most, of {short_name(stability['tensor'], '')}, by "
                f"{stability['range_change']:.0%}."
            )
            if stability["warning"]:
                alarms.append(f"{variant['name']}: {stability['warning']}.")
        elif not variant["accuracy_control"]:
            line += " There were not enough images for a second calibration to compare with."
        control = variant["accuracy_control"]
        if control:
            blocks = ", ".join(short_name(block[0], "") for block in control["blocks_in_float"])
            line += f" Kept in float, worst first: {blocks}." + _control_cost(variant, variants)
        words.append(line)
    return Section(
        "Quantization",
        words,
        alarm=" ".join(alarms),
        pictures=[pictures["errors"]] if "errors" in pictures else [],
    )


def _control_cost(mixed: dict[str, Any], variants: Sequence[dict[str, Any]]) -> str:
    """What keeping blocks in float cost against the variant that fell short."""
    [short] = [v for v in variants if f"{v['name']}-mixed" == mixed["name"]]
    milliseconds = mixed["timings"][0]["p50_ms"] - short["timings"][0]["p50_ms"]
    return (
        f" Against {short['name']} that costs {mixed['bytes'] - short['bytes']:+,} bytes and "
        f"{milliseconds:+.2f} ms, one thread."
    )


def _gate_section(variants: Sequence[dict[str, Any]]) -> Section:
    columns = [
        "variant", "suspicious beyond", "rejected beyond", "validation beyond",
        "changed films rejected", "others rejected",
    ]  # fmt: skip
    rows = []
    for variant in variants:
        gate = variant["gate"]
        validation = gate["validation"]
        others = Counter[str]()
        for counts in gate["non_films"].values():
            others.update(counts)
        rows.append(
            [
                variant["name"],
                f"{gate['suspicious']:.1f}",
                f"{gate['rejected']:.1f}",
                f"{validation.get('suspicious', 0)} and {_share(validation, 'rejected')}",
                _share(gate["augmented"], "rejected"),
                _share(others, "rejected"),
            ]
        )
    words = [
        "Before a probability is shown the gate asks how far a film lies from training films. The "
        "first limit is the 99% quantile of validation films, the second the 97% quantile of "
        "training films that were made to look different, so what the table says of both was tuned."
    ]
    if not any(v["gate"]["non_films"] for v in variants):
        words.append(
            "No things that are no films were given (--not-films), so how many the gate rejects "
            "is not known."
        )
    else:
        words.append("The others are those of --not-films; they set no limit of this model.")
    return Section("Input gate", words, tables=[Table(columns, rows)])


def _share(counts: Mapping[str, int], verdict: str) -> str:
    total = sum(counts.values())
    return f"{counts.get(verdict, 0)} of {total}" if total else "–"


def _origin_section(content: Content) -> Section:
    source = content["source"]
    rows = [[v["name"], v["folder"], v["sha256"]] for v in content["variants"]]
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return Section(
        "Where it comes from",
        [
            f"{source['architecture']}, weights began as {source['weights']}, seed "
            f"{source['seed']}. Float model SHA-256 {source['model_sha256']}, data set "
            f"{source['dataset_digest']}.",
            f"{versions}, on {content['machine']}.",
        ],
        tables=[Table(["variant", "folder", "SHA-256 of the model"], rows)],
    )
