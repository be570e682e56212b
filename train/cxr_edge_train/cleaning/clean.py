"""From a folder of images to ``clean_metadata.csv`` and the files beside it."""

import re
from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.cleaning.duplicates import remove_duplicates
from cxr_edge_train.cleaning.inventory import KEPT, Inventory
from cxr_edge_train.cleaning.leaks import find_leaks
from cxr_edge_train.cleaning.near_duplicates import find_near_duplicates
from cxr_edge_train.cleaning.report import (
    CleaningReport,
    report_path,
    write_cleaning_report,
)
from cxr_edge_train.cleaning.scan_index import ScanIndex
from cxr_edge_train.cleaning.scanning import scan
from cxr_edge_train.cleaning.shortcuts import check_shortcuts
from cxr_edge_train.dataset.layout import FOLDERS, LABELS, find_files
from cxr_edge_train.dataset.metadata import left_out_path, write_left_out, write_metadata
from cxr_edge_train.progress import ProgressFactory, no_progress


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What cleaning did.

    Attributes:
        kept: number of images in the metadata.
        left_out: number of files that are not.
        unknown_patients: number of kept images whose patient is unknown.
        report: what stands in the report file.
        trouble: why the index of files already read was not used; empty while all is well.
    """

    kept: int
    left_out: int
    unknown_patients: int
    report: CleaningReport
    trouble: str


def clean(
    data_dir: Path,
    output: Path,
    *,
    pattern: re.Pattern[str] | None = None,
    cache_dir: Path | None = None,
    progress: ProgressFactory = no_progress,
) -> CleanResult:
    """Scan a data set, drop what cannot be used and write three files; images are never touched.

    Images are read by processes of their own, so a script that calls this must do so below
    ``if __name__ == "__main__":``.

    Args:
        data_dir: folder with ``train|val|test / NORMAL|PNEUMONIA``.
        output: the metadata file to write; paths inside are relative to its folder. The list of
            left-out files and the report lie beside it.
        pattern: finds the patient in a file name, for data sets other than Kermany's.
        cache_dir: where the index of files already read lies; without it every file is read.
        progress: shows how far the check of the files and the search for near-duplicates are.

    Raises:
        DatasetError: the folder has not the expected structure, no image is left of a label, or
            the temporary folder is full.
        InvalidRequest: the output is a folder.
    """
    if output.is_dir():
        raise InvalidRequest(f"{output}: is a folder; name the file to write")
    with Inventory() as inventory:
        trouble = take_inventory(
            inventory,
            data_dir,
            relative_to=output.resolve().parent,
            pattern=pattern,
            cache_dir=cache_dir,
            progress=progress,
        )
        write_left_out(left_out_path(output), inventory.left_out())
        for label in LABELS:
            if not inventory.count(f"state = '{KEPT}' AND label = '{label}' AND split != 'test'"):
                raise DatasetError(
                    f"{data_dir}: no usable {label} image for training; "
                    f"see {left_out_path(output)} for what was left out and why"
                )
        near_duplicates = find_near_duplicates(inventory, progress=progress)
        report = CleaningReport(
            inventory.flow(FOLDERS, LABELS),
            near_duplicates,
            find_leaks(inventory, near_duplicates),
            check_shortcuts(inventory),
        )
        write_metadata(output, inventory.kept())
        write_cleaning_report(report_path(output), report)
        return CleanResult(
            inventory.count(f"state = '{KEPT}'"),
            inventory.count(f"state != '{KEPT}'"),
            inventory.count(f"state = '{KEPT}' AND patient = ''"),
            report,
            trouble,
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
    """Scan a data set into an inventory and mark exact duplicates; see :func:`clean`.

    Returns:
        Why the index of files already read was not used, empty while all is well.
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
    remove_duplicates(inventory)
    return "" if index is None else index.trouble
