"""What was paid for every byte saved, as ``report.json`` and ``report.md``."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import Verification
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.manifest import NOTICE

REPORT_SCHEMA_VERSION = 1


def write_report(
    folder: Path, variants: Mapping[str, tuple[int, Verification]], limits: Limits
) -> None:
    """Write both files.

    Args:
        folder: where to.
        variants: size in bytes and verification of each variant, float32 first.
        limits: that were applied.
    """
    content = {
        "schema_version": REPORT_SCHEMA_VERSION,
        "limits": asdict(limits),
        "variants": {
            name: {"bytes": size, "passed": verification.passed, **verification.as_dict()}
            for name, (size, verification) in variants.items()
        },
        "notice": NOTICE,
    }
    write_text(folder / "report.json", json.dumps(content, indent=2) + "\n")
    write_text(folder / "report.md", render_markdown(variants, limits))


def render_markdown(variants: Mapping[str, tuple[int, Verification]], limits: Limits) -> str:
    """The table of variants, with the images whose decision changed."""
    lines = [
        "# Conversion report",
        "",
        f"{NOTICE}",
        "",
        "Each variant ran in the engine that runs on the device, on the validation images, at the "
        "threshold and temperature frozen with the float model.",
        f"Limits: recall may fall by {limits.max_recall_drop:g}, "
        f"specificity by {limits.max_specificity_drop:g}.",
        "",
        "| variant | bytes | recall | specificity | AUC | recall drop | specificity drop "
        "| agreement | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    first = next(iter(variants.values()))[1].float_metrics
    lines.append(
        f"| Keras (reference) | – | {first.sensitivity} | {first.specificity} | {first.auc} "
        "| – | – | – | – |"
    )
    for name, (size, verification) in variants.items():
        metrics = verification.metrics
        verdict = "passed" if verification.passed else "; ".join(verification.failures)
        lines.append(
            f"| {name} | {size:,} | {metrics.sensitivity} | {metrics.specificity} | {metrics.auc} "
            f"| {verification.recall_drop:.4f} | {verification.specificity_drop:.4f} "
            f"| {verification.agreement:.4f} | {verdict} |"
        )
    for name, (_, verification) in variants.items():
        lines += ["", f"## {name}: {len(verification.flipped)} decisions changed", ""]
        lines.append(
            f"Largest logit difference {verification.max_logit_difference:.4g}, mean shift of the "
            f"probability {verification.mean_probability_shift:.4g}."
        )
        if verification.flipped:
            lines += ["", "| image | float | variant |", "|---|---|---|"]
            lines += [
                f"| {Path(path).name} | {before:.3f} | {after:.3f} |"
                for path, before, after in verification.flipped
            ]
    return "\n".join(lines) + "\n"
