"""Classify the films of a folder as they come in."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_edge.process.interruption import Interruption
from cxr_edge.watching.arrivals import Arrivals
from cxr_edge.watching.journal import Journal, Stamp, stamp_of
from cxr_edge.writers.dicom_files import FileChanged
from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.result_json import as_json, image_result

if TYPE_CHECKING:
    from cxr_edge.monitoring.log_writer import PredictionRecorder
    from cxr_edge.writers.dicom_files import DicomWriter

# Seconds between two looks at the folder.
POLL_S = 1.0


def watch(
    folder: Path,
    to: Path,
    bundle: Bundle,
    *,
    interrupted: Interruption,
    settle_s: float,
    threads: int = 1,
    prevalence: float | None = None,
    log: "PredictionRecorder | None" = None,
    dicom: "DicomWriter | None" = None,
    on_result: Callable[[str, Result], None],
    on_absent: Callable[[bool], None],
    on_unwritten: Callable[[str, str], None] = lambda _name, _why: None,
    on_unreadable: Callable[[Path, str], None] = lambda _folder, _why: None,
    poll_s: float = POLL_S,
) -> int:
    """Answer each file that comes into a folder once, until a signal comes.

    Args:
        folder: where films come in, with all below it.
        to: the folder of answers; see :mod:`cxr_edge.watching.journal`.
        bundle: the bundle that answers.
        interrupted: ends the work after the file under way.
        settle_s: a file is whole when it has not changed for so many seconds.
        threads: threads of the engine, which stays loaded.
        prevalence: see :class:`cxr_edge_runtime.classifier.Classifier`.
        log: takes each prediction, too.
        dicom: writes the answer to each DICOM film as DICOM, before its line.
        on_result: called with the name and the result of each file.
        on_absent: called with True when the folder is not there, with False when it is again.
        on_unwritten: called with the name of a file without a DICOM answer, and why.
        on_unreadable: called once with a folder that cannot be read, or whose files cannot be
            moved, and why; the others go on.
        poll_s: seconds between two looks.

    Returns:
        The number of files that were answered or failed.

    Raises:
        InvalidRequest: one folder lies in the other, or another process writes to ``to``.
        OSError: the disk is full, or a file cannot be moved.
        CxrEdgeError: the bundle or its engine cannot be used.
    """
    check_apart(folder, to)
    classifier = Classifier(bundle, threads=threads, prevalence=prevalence)
    arrivals, done, absent = Arrivals(folder, settle_s=settle_s), 0, False
    told: set[Path] = set()

    def leave(below: Path, why: str) -> None:
        if below not in told:
            on_unreadable(below, why)
        told.add(below)

    journal = Journal(to)
    try:
        while interrupted.number is None:
            whole: Sequence[tuple[Path, Stamp]] = []
            try:
                whole = arrivals.settled()
            except OSError:
                if not absent:
                    on_absent(True)
                absent = True
            else:
                if absent:
                    on_absent(False)
                absent = False
                for below, why in arrivals.unreadable.items():
                    leave(below, why)
            before = done
            for path, stamp in whole:
                if interrupted.number is not None:
                    break
                arrivals.forget(path)
                if not _is_as(path, stamp):
                    continue  # it changes again, or was taken away
                if not os.access(path.parent, os.W_OK | os.X_OK):
                    leave(path.parent, "its files cannot be moved away")
                    continue
                name = path.relative_to(folder).as_posix()
                result = _answer(classifier, path, name, mapped=dicom is not None)
                if dicom is not None and isinstance(result, Prediction):
                    # Killed before its line, the film gets the same files again; a full disk ends
                    # all before it.
                    try:
                        dicom.answer(path, result)
                    except FileChanged:
                        continue
                    except CxrEdgeError as error:
                        on_unwritten(name, str(error))
                if not _is_as(path, stamp):
                    continue
                line = json.dumps(as_json(image_result(name, result, bundle)))
                journal.record(path, stamp, name, line, failed=isinstance(result, CxrEdgeError))
                if log is not None and isinstance(result, Prediction):
                    log.add(result, bundle)
                on_result(name, result)
                done += 1
            if done == before:  # also where all that is there has to be left alone
                _wait(interrupted, poll_s)
    finally:
        journal.close()
    return done


def _is_as(path: Path, stamp: Stamp) -> bool:
    """Whether a file is still the one that had settled."""
    try:
        return stamp_of(path.stat(follow_symlinks=False)) == stamp
    except OSError:
        return False


def _answer(classifier: Classifier, path: Path, name: str, *, mapped: bool) -> Result:
    try:
        return classifier.classify(path, name=name, hashed=True, mapped=mapped)
    except CxrEdgeError as error:
        return error


def _wait(interrupted: Interruption, seconds: float) -> None:
    until = time.monotonic() + seconds
    while interrupted.number is None and time.monotonic() < until:
        time.sleep(min(0.1, seconds))


def check_apart(folder: Path, output: Path) -> None:
    """Check that an output is not taken for films that come in.

    Raises:
        InvalidRequest: it lies in the watched folder, or holds it.
    """
    inside, outside = output.resolve(), folder.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise InvalidRequest(f"{output}: lies in {folder} or contains it; choose another folder")
