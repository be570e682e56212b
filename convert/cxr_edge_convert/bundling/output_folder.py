"""Bundles and report of a conversion on disk: all of it or nothing."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cxr_edge_convert.bundling.packaging import package
from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.new_folder import appearing_at_once
from cxr_edge_convert.report.changed_predictions import FIGURES, draw_changed_predictions
from cxr_edge_convert.report.content import conversion_report, prediction_columns, variant_folder
from cxr_edge_convert.report.conversion_report import ConversionReport
from cxr_edge_convert.report.rendering import REPORT_FILES, render
from cxr_edge_convert.report.storage import REPORT, write_report
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.bundle import BUNDLE_FILES, Bundle
from cxr_edge_runtime.device.inference_timing import Timing, measure
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_train.evaluation.run_subject import activation_maps
from cxr_edge_train.progress import ProgressFactory, as_stage, no_progress

# Of the engine, as the report times it.
_THREADS = (1, 2)


def check_output(output: Path, *, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse an output before any work is done.

    Args:
        output: the folder to make.
        overwrite: an earlier conversion there may be replaced; nothing else is.
        inputs: what the conversion reads; none may lie in the folder.

    Raises:
        InvalidRequest: the folder is there and may not be replaced, or it cannot be made.
    """

    def may_go(folder: Path) -> bool:
        if strange := _not_of_a_conversion(folder):
            raise InvalidRequest(f"{folder}: {strange}; choose another folder")
        if not overwrite:
            raise InvalidRequest(
                f"{folder}: already exists; name another folder, or replace the conversion there "
                "(overwrite)"
            )
        return True

    for path in inputs if overwrite else ():
        if path.resolve().is_relative_to(output.resolve()):
            raise InvalidRequest(
                f"{output}: contains {path}, which is an input; choose another folder"
            )
    check_folder(output, "a conversion", ours=may_go, anew=True)


def _not_of_a_conversion(folder: Path) -> str:
    """The first thing in a folder that no conversion wrote, in words; empty if there is none.

    Conversions of earlier versions count, too: what is replaced need not be understood.
    """
    try:
        report = json.loads((folder / REPORT).read_bytes())
        bundles = {str(variant["folder"]) for variant in report["variants"]}
    except (OSError, ValueError, LookupError, TypeError):
        return f"is not a conversion (it has no {REPORT} of one)"
    ours = {*REPORT_FILES, *(f"{bundle}/{name}" for bundle in bundles for name in BUNDLE_FILES)}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_picture = name.parts[0] == FIGURES and path.suffix == ".png"
        if not path.is_dir() and name.as_posix() not in ours and not is_picture:
            return f"contains {name.as_posix()}, which cxr-edge convert did not write"
    return ""


def write_all(
    output: Path,
    source: Source,
    settings: ConversionSettings,
    variants: Sequence[Variant],
    *,
    overwrite: bool = False,
    progress: ProgressFactory = no_progress,
) -> ConversionReport:
    """Write ``output/VARIANT``, ``output/rejected/VARIANT`` and the report; they appear at once.

    Args:
        output: folder to make; see :func:`check_output`.
        source: the float model.
        settings: what the conversion was asked for.
        variants: what was made.
        overwrite: replace an earlier conversion there.
        progress: shows how far the work has come.

    Returns:
        The report that was written.

    Raises:
        InvalidRequest: the folder is there and may not be replaced.
        OSError: the disk is full; nothing is left of the new folder, and the old one is as it was.
    """
    check_output(output, overwrite=overwrite)
    with appearing_at_once(output) as staging:
        timings: dict[str, list[Timing]] = {}
        files: dict[str, tuple[int, str]] = {}
        for variant in progress("measuring")(variants, len(variants)):
            folder = staging / variant_folder(variant)
            package(folder, variant, source, settings.limits, settings.ages)
            manifest = Bundle.load(folder).manifest
            entry = manifest.files[manifest.model.file]
            files[variant.scheme.name] = (entry.bytes, entry.sha256)
            timings[variant.scheme.name] = measure(folder, threads=_THREADS)
        report = conversion_report(source, settings, variants, files=files, timings=timings)
        as_stage(
            progress,
            "writing the report",
            lambda: _write_report(staging, report, source, variants),
        )
    return report


def _write_report(
    folder: Path, report: ConversionReport, source: Source, variants: Sequence[Variant]
) -> None:
    write_report(folder, report, prediction_columns(source, variants))
    draw_changed_predictions(
        folder,
        report,
        source.validation.table,
        source.validation_pixels,
        partial(activation_maps, source.model, source.validation.operating_point)
        if "cam" in source.outputs
        else None,
    )
    render(folder)
