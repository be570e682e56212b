"""The section of a conversion's report that says how INT8 models were quantized."""

from collections.abc import Mapping, Sequence

from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.report.conversion_report import VariantReport
from cxr_edge_convert.report.figures import short_name
from cxr_edge_convert.variants import MIXED_SUFFIX
from cxr_edge_runtime.counting import counted
from cxr_edge_train.reporting.page import Picture, Section


def quantization_section(
    variants: Sequence[VariantReport], pictures: Mapping[str, Picture]
) -> Section:
    """Calibration, its stability, and the operators that were kept in float.

    Args:
        variants: those that were calibrated.
        pictures: may have ``errors``.
    """
    alarms = (
        f"{variant.name}: {variant.stability.warning}."
        for variant in variants
        if variant.stability and variant.stability.warning
    )
    return Section(
        "Quantization",
        [
            "The calibration set is the images from which the value ranges of an INT8 model were "
            "taken; its digest is a checksum of these images.",
            *(_paragraph(variant, variants) for variant in variants),
        ],
        alarm=" ".join(alarms),
        pictures=[pictures["errors"]] if "errors" in pictures else [],
    )


def _paragraph(variant: VariantReport, variants: Sequence[VariantReport]) -> str:
    words = ""
    if calibration := variant.calibration:
        words = (
            f"{variant.name}: {counted(calibration.count, 'image')}, ranges by "
            f"{calibration.method}, seed {calibration.seed}, digest {calibration.digest[:12]}."
        )
    if variant.stability:
        words += _compared(variant.stability)
    elif not variant.accuracy_control:
        words += " There were not enough images for a second calibration to compare with."
    if control := variant.accuracy_control:
        blocks = ", ".join(short_name(block[0], "") for block in control.blocks_in_float)
        words += f" Kept in float, worst first: {blocks}." + _cost(variant, variants)
    return words


def _compared(stability: Stability) -> str:
    return (
        f" With {stability.images} other images the AUC changes by {stability.auc_change:+.4f}, "
        f"with {counted(stability.flips, 'changed prediction')}; the range that changes most, of "
        f"{short_name(stability.tensor, '')}, changes by {stability.range_change:.0%}."
    )


def _cost(mixed: VariantReport, variants: Sequence[VariantReport]) -> str:
    """What keeping blocks in float cost against the variant that missed a limit."""
    [short] = [variant for variant in variants if f"{variant.name}{MIXED_SUFFIX}" == mixed.name]
    milliseconds = mixed.timings[0].p50_ms - short.timings[0].p50_ms
    return (
        f" Against {short.name} that costs {mixed.bytes - short.bytes:+,} bytes and "
        f"{milliseconds:+.2f} ms, one thread."
    )
