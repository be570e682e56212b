"""From a folder of images to ``clean_metadata.csv`` and the files beside it."""

import re
from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.arguments import as_path, check_callables, optional_path
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files.outputs import check_apart
from cxr_edge_train.cleaning.checks.check import Summary
from cxr_edge_train.cleaning.checks.registry import EXCLUSIONS, run_checks
from cxr_edge_train.cleaning.inventory import KEPT, Inventory
from cxr_edge_train.cleaning.report import (
    CleaningReport,
    check_report_output,
    write_cleaning_report,
)
from cxr_edge_train.cleaning.scan_index import ScanIndex
from cxr_edge_train.cleaning.scanning import scan
from cxr_edge_train.dataset.layout import FOLDERS, LABELS, find_files
from cxr_edge_train.dataset.metadata import (
    check_metadata_output,
    left_out_path,
    report_path,
    write_left_out,
    write_metadata,
)
from cxr_edge_train.dataset.patients import UnknownPatients, compile_patient_pattern
from cxr_edge_train.progress import ProgressFactory, no_progress


@dataclass(frozen=True, slots=True)
class CleaningResult:
    """What cleaning found and wrote.

    Attributes:
        metadata: the metadata file.
        left_out_list: the CSV file that lists each file left out, with the reason.
        report_file: the JSON file that holds ``report``.
        kept: number of images in the metadata.
        left_out: number of files that are not in the metadata.
        unknown_patients: number of kept images whose patient is unknown.
        report: how many files passed each step, and the findings of all checks.
        warnings: what the user should know, one sentence or more each.
    """

    metadata: Path
    left_out_list: Path
    report_file: Path
    kept: int
    left_out: int
    unknown_patients: int
    report: CleaningReport
    warnings: tuple[str, ...]

    @property
    def summaries(self) -> dict[str, Summary]:
        """The finding of each check in words, by the check's label such as ``near-duplicates``."""
        return self.report.summaries()

    @property
    def has_leak(self) -> bool:
        """Whether test holds an image or a patient that train or val holds too."""
        return self.summaries["leaks"].alarm


def clean(
    data_dir: str | Path,
    output: str | Path = "clean_metadata.csv",
    *,
    patient_pattern: str | None = None,
    cache_dir: str | Path | None = None,
    progress: ProgressFactory = no_progress,
) -> CleaningResult:
    """Check every image of a data set and write which of them can be used.

    Three files are written: the metadata, the list of the files left out, and the report of the
    checks. No image is changed or deleted.

    Images are read by processes of their own, so a script that calls this function must do so
    below ``if __name__ == "__main__":``.

    Args:
        data_dir: folder with ``train|val|test / NORMAL|PNEUMONIA``; ``val`` and ``test`` may be
            absent.
        output: the metadata file to write. Paths in it are relative to its folder, and the other
            two files are written beside it.
        patient_pattern: regular expression that finds the patient in a file name, for data sets
            other than Kermany's: the group named ``patient``, else the first group.
        cache_dir: folder that remembers the files already read, so that the next call reads only
            what has changed; None remembers nothing.
        progress: makes the progress bars.

    Returns:
        The paths of the three files, the counts, the report and the warnings.

    Raises:
        DatasetError: the folder does not have the expected structure, a label has no usable image,
            or the temporary folder is full.
        InvalidRequest: an argument is not a path, one of the three files would replace something
            else or cannot be written, or the pattern is not a regular expression.

    Examples:
        >>> from cxr_edge import clean
        >>> result = clean("chest_xray", "clean_metadata.csv")
        >>> result.kept, result.left_out
        (96, 0)
        >>> for row in result.report.flow:
        ...     print(row.split, row.label, row.found, row.kept)
        train NORMAL 40 40
        train PNEUMONIA 40 40
        test NORMAL 8 8
        test PNEUMONIA 8 8
        >>> print(result.summaries["shortcuts"])
        alarm. File size alone predicts the label (AUC ...
    """
    data_dir, output = as_path(data_dir, "data_dir"), as_path(output, "output")
    check_callables(progress=progress)
    check_metadata_output(output)
    check_report_output(output)
    check_apart(output, *(data_dir / folder for folder in FOLDERS))
    pattern = None if patient_pattern in (None, "") else compile_patient_pattern(patient_pattern)
    with Inventory() as inventory:
        index_failure = take_inventory(
            inventory,
            data_dir,
            relative_to=output.resolve().parent,
            pattern=pattern,
            cache_dir=optional_path(cache_dir, "cache_dir"),
            progress=progress,
        )
        write_left_out(left_out_path(output), inventory.left_out())
        for label in LABELS:
            if not inventory.count(f"state = '{KEPT}' AND label = '{label}' AND split != 'test'"):
                raise DatasetError(
                    f"{data_dir}: no usable {label} image for training; "
                    f"see {left_out_path(output)} for what was left out and why"
                )
        report = CleaningReport(
            inventory.flow(FOLDERS, LABELS), run_checks(inventory, progress=progress)
        )
        write_metadata(output, inventory.kept())
        write_cleaning_report(report_path(output), report)
        kept = inventory.count(f"state = '{KEPT}'")
        unknown_patients = inventory.count(f"state = '{KEPT}' AND patient = ''")
        return CleaningResult(
            metadata=output,
            left_out_list=left_out_path(output),
            report_file=report_path(output),
            kept=kept,
            left_out=inventory.count(f"state != '{KEPT}'"),
            unknown_patients=unknown_patients,
            report=report,
            warnings=_warnings(index_failure, unknown_patients, kept),
        )


def _warnings(index_failure: str, unknown_patients: int, kept: int) -> tuple[str, ...]:
    return (
        *([index_failure] if index_failure else []),
        *UnknownPatients(unknown_patients, of=kept).warnings,
    )


def take_inventory(
    inventory: Inventory,
    data_dir: Path,
    *,
    relative_to: Path,
    pattern: re.Pattern[str] | None = None,
    cache_dir: Path | None = None,
    progress: ProgressFactory = no_progress,
) -> str:
    """Read all files of a data set into an inventory and leave out what cannot be used.

    Args:
        inventory: an empty inventory, to be filled.
        data_dir: see :func:`clean`.
        relative_to: the folder that will hold the metadata file, resolved.
        pattern: finds the patient in a file name; see
            :func:`cxr_edge_train.dataset.patients.identify`.
        cache_dir: see :func:`clean`.
        progress: makes the progress bar over the files.

    Returns:
        Why the index of files already read was not used; empty where it was, or where there is no
        ``cache_dir``.

    Raises:
        DatasetError: the folder does not have the expected structure.
    """
    data_dir = data_dir.resolve()
    total = sum(1 for _ in find_files(data_dir))
    index = None if cache_dir is None else ScanIndex(cache_dir)
    try:
        files = scan(data_dir, relative_to=relative_to, pattern=pattern, index=index)
        inventory.add(progress("checking images")(files, total))
    finally:
        if index is not None:
            index.close()
    for exclude in EXCLUSIONS:
        exclude(inventory)
    return "" if index is None else index.failure
