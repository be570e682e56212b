"""A model measured on one split of a data set; the only place that reads test labels."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.dataset.metadata import (
    dataset_digest,
    digest_of_test,
    read_metadata,
    read_splits,
    without_test,
)
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.dataset.test_films import without_test_films
from cxr_edge_train.evaluation.evaluation import Evaluation, summarise
from cxr_edge_train.evaluation.output import check_output, write_evaluation
from cxr_edge_train.evaluation.predictions import predict
from cxr_edge_train.evaluation.reading_log import check_log, log_test_reading
from cxr_edge_train.evaluation.subgroups import find_subgroups, large_columns
from cxr_edge_train.evaluation.subject import Subject, check_names, own_film_warnings
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.soundness import has_reversed_labels

ALL = "all"
# Training images alone would say nothing; those of `all` are of another site than the training.
SPLITS = ("validation", "test", ALL)


def check_request(split: str, *, log: Path | None, output: Path | None) -> None:
    """Check what can be checked before a model is loaded, which takes seconds.

    Args:
        split: what to measure on.
        log: the file that records readings of test labels.
        output: the folder to write.

    Raises:
        InvalidRequest: the split is not one of :data:`SPLITS`, test is to be read without a log
            or another split with one, the log cannot keep readings or holds something else, or
            the output holds something else or cannot be written.
    """
    if split not in SPLITS:
        raise InvalidRequest(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    if split == "test" and log is None:
        raise InvalidRequest("test needs a log, since every reading of test labels is recorded")
    if split != "test" and log is not None:
        raise InvalidRequest(
            f"a log records readings of test, but {split} is measured; leave it out or measure test"
        )
    if log is not None:
        check_log(log)
    if output:
        check_output(output)
    if log is not None and output and log.resolve().is_relative_to(output.resolve()):
        # Evaluating again replaces what lies there; the log is for good.
        raise InvalidRequest(f"{log}: lies in {output}, which is overwritten; choose another log")


def measure(
    subject: Subject,
    metadata: Path,
    splits: Path,
    *,
    split: str,
    log: Path | None,
    output: Path | None,
    root: Path,
    progress: ProgressFactory = no_progress,
) -> Evaluation:
    """Measure a model on validation, on test, or on all images but those of test.

    Args:
        subject: the model.
        metadata: ``clean_metadata.csv``.
        splits: ``splits.csv``; of ``all`` it only says what else is test, and the default one may
            be missing.
        split: ``validation``, ``test`` or ``all``, which needs no splits.
        log: the file that a reading of test is appended to; None for another split.
        output: folder for the metrics, the predictions and the plots; None to write nothing.
        root: folder that the paths in the metadata are relative to.
        progress: makes the progress bar over the images.

    Raises:
        InvalidRequest: see :func:`check_request`.
        DatasetError: metadata, splits or images are missing, damaged or changed, or the splits call
            a test image of the metadata something else.
        ImageError: an image cannot be read or decoded.
        EngineError: the model computed no number.
        RunError: the history of the run is damaged.
    """
    check_request(split, log=log, output=output)
    cleaned = read_metadata(metadata)
    check_names(subject, cleaned, metadata)
    if split == ALL:
        rows, left_out = without_test_films(metadata, cleaned, splits)
        warnings = (*left_out, *own_film_warnings(subject, rows))
    else:
        table = read_splits(splits, cleaned)
        rows = table[table["split"] == split].reset_index(drop=True)
        if rows.empty:
            raise DatasetError(
                f"{splits}: no image of {metadata} is in the split {split}; measure "
                "another one, or make the splits again"
            )
        warnings = tuple(_warnings(subject, cleaned, table, split=split))
    predictions, _ = predict(subject, rows, root=root, progress=progress)
    is_own = (
        split != ALL and dataset_digest(without_test(table)) == subject.identity.training_digest
    )
    # The point of a bundle was fitted on the logits of the float model, not on these.
    fitted = is_own and split == "validation" and subject.identity.bundle_sha256 is None
    evaluation = replace(
        summarise(subject, predictions, split=split, fitted=fitted),
        subgroups=find_subgroups(predictions, rows),
        warnings=(*warnings, *large_columns(rows)),
    )
    if has_reversed_labels(evaluation.metrics.by_name()):
        reversed_ = f"the AUC is {evaluation.metrics.auc}: are the labels swapped?"
        evaluation = replace(evaluation, warnings=(reversed_, *evaluation.warnings))
    if split == "test" and log is not None:
        log_test_reading(log, evaluation, dataset_digest(rows))
    if output:
        write_evaluation(output, evaluation, predictions, subject, rows, root=root)
    return evaluation


def _warnings(
    subject: Subject, metadata: pd.DataFrame, table: pd.DataFrame, *, split: str
) -> Iterator[str]:
    others = subject.test_digest not in ("", digest_of_test(table))
    if dataset_digest(without_test(table)) != subject.identity.training_digest:
        yield (
            "this model was trained on other images or splits; it may have learned from some of "
            f"these {split} images"
        )
        if others and split != "test":
            yield (
                "the test images have changed since the run was made; some of these "
                f"{split} images may have been test images"
            )
    if split == "test":
        if others:
            yield "the test images have changed since the run was made"
        missing = ((metadata["split"] == "test") & ~metadata["path"].isin(table["path"])).sum()
        if missing:
            yield f"{counted(missing, 'test image')} of the metadata not measured (in no split)"
    yield from UnknownPatients.among(table).warnings
