"""From a folder of images to ``clean_metadata.csv`` and the files beside it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.arguments import as_path, check_callables, optional_path
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.files.outputs import check_apart
from cxr_edge_train.cleaning.checks.check import Summary
from cxr_edge_train.cleaning.checks.registry import EXCLUSIONS, run_checks
from cxr_edge_train.cleaning.dicom_header import COLUMNS as DICOM_COLUMNS
from cxr_edge_train.cleaning.inventory import KEPT, Inventory
from cxr_edge_train.cleaning.pseudonyms import Pseudonyms, read_patient_key
from cxr_edge_train.cleaning.report import (
    CleaningReport,
    check_report_output,
    write_cleaning_report,
)
from cxr_edge_train.cleaning.scan_index import ScanIndex
from cxr_edge_train.cleaning.scanning import scan
from cxr_edge_train.dataset.class_names import CLASSES_COLUMN
from cxr_edge_train.dataset.labels_file import SITE, read_labels
from cxr_edge_train.dataset.layout import NOT_THERE, UNLABELLED, DataSet, open_dataset
from cxr_edge_train.dataset.metadata import (
    FOLDERS,
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
    labels: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    map: Mapping[str, str] | None = None,
    positive: str | None = None,
    patient_pattern: str | None = None,
    patient_key: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: ProgressFactory = no_progress,
) -> CleaningResult:
    """Check every image of a data set and write which of them can be used.

    Three files are written: the metadata, the list of the files left out, and the report of the
    checks. No image is changed or deleted.

    Images are read by processes of their own, so a script that calls this function must do so
    below ``if __name__ == "__main__":``.

    Args:
        data_dir: folder with ``train|val|test / NORMAL|PNEUMONIA``, of which ``val`` and ``test``
            may be absent; or with ``NORMAL|PNEUMONIA``; or, with ``labels``, with films anywhere
            in it. Films are images or DICOM files. Of DICOM files the patient's age and sex, the
            view and the device become columns of the metadata, and patients become numbers.
        output: the metadata file to write. Paths in it are relative to its folder, and the other
            two files are written beside it.
        labels: CSV file that gives the label of each film, in the columns ``path`` (or ``file``),
            relative to ``data_dir``, and ``label``; optionally ``patient`` and ``split``. Any
            further columns, such as age or site, become columns of the metadata.
        columns: what ``labels`` calls its columns, such as ``{"label": "diagnosis"}``.
        map: new names of labels and label folders, such as ``{"Lung_Opacity": "PNEUMONIA"}``;
            two that get the same name become one class.
        positive: the label of the finding, for classes other than ``NORMAL`` and ``PNEUMONIA``.
        patient_pattern: regular expression that finds the patient in a file name, for data sets
            other than Kermany's: the group named ``patient``, else the first group. A patient that
            ``labels`` names comes first, and the header of a DICOM file last.
        patient_key: file with a secret key; the patients of DICOM files are then named by its HMAC
            of their ids, so that they are called the same in every data set.
        cache_dir: folder that remembers the files already read, so that the next call reads only
            what has changed; None remembers nothing.
        progress: makes the progress bars.

    Returns:
        The paths of the three files, the counts, the report and the warnings.

    Raises:
        DatasetError: the folder is laid out in another way, there are not two classes, a label has
            no usable image, the table of labels is damaged, or the temporary folder is full.
        InvalidRequest: an argument is not a path, one of the three files would replace something
            else or cannot be written, the pattern is not a regular expression, the key is too
            short, or ``columns`` names one that is not there.

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
    pattern = None if patient_pattern in (None, "") else compile_patient_pattern(patient_pattern)
    key = optional_path(patient_key, "patient_key")
    pseudonyms = Pseudonyms(None if key is None else read_patient_key(key))
    dataset = _open(data_dir, labels, columns=columns, renamed=map, positive=positive)
    check_metadata_output(output, _further_columns(dataset))
    check_report_output(output)
    check_apart(output, *dataset.film_folders)
    with Inventory(dataset.names) as inventory:
        index_failure = take_inventory(
            inventory,
            dataset,
            relative_to=output.resolve().parent,
            pattern=pattern,
            pseudonyms=pseudonyms,
            cache_dir=optional_path(cache_dir, "cache_dir"),
            progress=progress,
        )
        write_left_out(left_out_path(output), inventory.left_out())
        for label in dataset.names:
            if not inventory.count(f"state = '{KEPT}' AND label = '{label}' AND split != 'test'"):
                tested = inventory.count(f"state = '{KEPT}' AND label = '{label}'")
                raise DatasetError(
                    f"{data_dir}: no usable {label} image for training"
                    + (f", {tested} are test; clean the folder above" if tested else "")
                    + f"; see {left_out_path(output)} for what was left out and why"
                )
        report = CleaningReport(inventory.flow(FOLDERS), run_checks(inventory, progress=progress))
        write_metadata(output, inventory.kept(), further=inventory.further_columns)
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
            warnings=(
                *([index_failure] if index_failure else []),
                *_label_warnings(dataset, inventory, left_out_path(output)),
                *UnknownPatients(unknown_patients, of=kept).warnings,
            ),
        )


def _open(
    data_dir: Path,
    labels: str | Path | None,
    *,
    columns: Mapping[str, str] | None,
    renamed: Mapping[str, str] | None,
    positive: str | None,
) -> DataSet:
    data_dir, table = data_dir.resolve(), optional_path(labels, "labels")
    renamed = renamed or {}
    if columns and table is None:
        raise InvalidRequest("columns apply to a table of labels; give the table too (labels)")
    given = (
        None
        if table is None
        else read_labels(table, data_dir, columns=columns or {}, renamed=renamed)
    )
    return open_dataset(data_dir, labels=given, renamed=renamed, positive=positive)


def _further_columns(dataset: DataSet) -> tuple[str, ...]:
    """All columns that the metadata of a data set may have beside those of every one."""
    of_labels = next(iter(dataset.labels.films.values())).columns if dataset.labels else ()
    return (*of_labels, *DICOM_COLUMNS, CLASSES_COLUMN)


def _label_warnings(dataset: DataSet, inventory: Inventory, left_out: Path) -> Iterable[str]:
    if dataset.labels is None:
        return
    yield from dataset.labels.warnings
    for name in inventory.further_columns:
        if name.lower() == SITE and (number := inventory.patients_at_several(name)):
            yield (
                f"{counted(number, 'patient')} with films from more than one {name}; split by "
                f"{name} (group_by) to keep them on one side"
            )
    file = dataset.labels.file
    if number := inventory.count(f"reason = '{UNLABELLED}'"):
        yield f"{counted(number, 'film')} without a label in {file}; see {left_out}"
    if number := inventory.count(f"reason = '{NOT_THERE}'"):
        yield (
            f"{counted(number, 'film')} of {file} not found below {dataset.folder}; see {left_out}"
        )


def take_inventory(
    inventory: Inventory,
    dataset: DataSet,
    *,
    relative_to: Path,
    pattern: re.Pattern[str] | None = None,
    pseudonyms: Pseudonyms | None = None,
    cache_dir: Path | None = None,
    progress: ProgressFactory = no_progress,
) -> str:
    """Read all files of a data set into an inventory and leave out what cannot be used.

    Args:
        inventory: an empty inventory, to be filled.
        dataset: the data set, its folder resolved.
        relative_to: the folder that will hold the metadata file, resolved.
        pattern: finds the patient in a file name; see
            :func:`cxr_edge_train.dataset.patients.identify`.
        pseudonyms: name the patients of DICOM files.
        cache_dir: see :func:`clean`.
        progress: makes the progress bar over the files.

    Returns:
        Why the index of files already read was not used; empty where it was, or where there is no
        ``cache_dir``.

    Raises:
        DatasetError: a label folder is empty, or a folder cannot be read.
    """
    total = sum(1 for _ in dataset.files())
    index = None if cache_dir is None else ScanIndex(cache_dir)
    try:
        files = scan(
            dataset, relative_to=relative_to, pattern=pattern, pseudonyms=pseudonyms, index=index
        )
        inventory.add(progress("checking images")(files, total))
    finally:
        if index is not None:
            index.close()
    for exclude in EXCLUSIONS:
        exclude(inventory)
    return "" if index is None else index.failure
