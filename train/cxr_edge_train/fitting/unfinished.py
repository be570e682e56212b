"""Unfinished runs: which folder belongs to which training, one process at a time."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_runtime.files import remove_temporaries, write_text
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_runtime.typed_json import TypedJsonError, from_json, parse_json
from cxr_edge_train.fitting.fingerprint import RunFingerprint
from cxr_edge_train.fitting.snapshots import has_snapshot
from cxr_edge_train.runs import RUN, UNFINISHED

_LOCK = ".lock"
# Of a fingerprint, what is shown where it differs.
_SHORT = ("architecture", "weights", "seed")


def check_output(folder: Path, record: str = RUN) -> None:
    """Check that a training may be written into a folder.

    Args:
        folder: folder of the training.
        record: name of the file that is written last, by which a finished one is known.

    Raises:
        InvalidRequest: the folder holds a finished training or files that belong to none, or it
            cannot be made or written.
    """
    _refuse_finished(folder, record)
    check_folder(folder, "a training run", ours=lambda folder: (folder / UNFINISHED).exists())


@contextmanager
def claimed(folder: Path, settings: RunFingerprint, record: str = RUN) -> Iterator[bool]:
    """Own a run's folder while fitting; the claim is removed when the block ends without an error.

    Args:
        folder: folder of the run; made where it is missing.
        settings: fingerprint of the run.
        record: see :func:`check_output`.

    Yields:
        Whether an earlier process finished this very run and was killed before it tidied up.

    Raises:
        InvalidRequest: see :func:`check_output`; or the folder holds an unfinished run with another
            fingerprint, or another process trains there.
        RunError: what an earlier process left is damaged.
    """
    check_output(folder, record)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _acquired(folder)
    try:
        _refuse_finished(folder, record)  # by a process that had the lock until now
        left = _left_settings(folder)
        remove_temporaries(folder)
        # Before its first epoch has ended a run has nothing to lose.
        if left is None or not (has_snapshot(folder) or (folder / record).exists()):
            write_text(folder / UNFINISHED, json.dumps(asdict(settings), indent=2) + "\n")
        else:
            _check_resumed(folder, left, settings)
        yield (folder / record).exists()
        (folder / UNFINISHED).unlink()
        (folder / _LOCK).unlink(missing_ok=True)
    finally:
        lock.release()


def check_resumable(folder: Path, settings: RunFingerprint) -> None:
    """Check that an unfinished run in a folder, where it has finished an epoch, is the wanted one.

    Raises:
        InvalidRequest: it has another fingerprint, or another process trains there.
        RunError: what it left is damaged.
    """
    left = _left_settings(folder)
    if left is not None and has_snapshot(folder):
        _acquired(folder).release()
        _check_resumed(folder, left, settings)


def _acquired(folder: Path) -> FileLock:
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InvalidRequest(f"{folder}: another process is training into this folder") from None
    return lock


def _check_resumed(folder: Path, left: RunFingerprint, wanted: RunFingerprint) -> None:
    there, here = asdict(left), asdict(wanted)
    changed = [
        # Digests and recipes are too long to be read in one line.
        f"{name} {there[name]} instead of {here[name]}" if name in _SHORT else name
        for name in there
        if there[name] != here[name]
    ]
    if changed:
        raise InvalidRequest(
            f"{folder}: holds an unfinished run with different settings ({', '.join(changed)}); "
            "choose another output, or remove the folder"
        )


def folder_for(cache_dir: Path, settings: RunFingerprint) -> Path:
    """Choose the folder, below ``cache_dir/runs``, of a run that was given none; make nothing.

    Returns:
        The folder of an unfinished run with the same fingerprint, else the first
        ``ARCHITECTURE-NNN`` that does not exist.
    """
    for number in itertools.count(1):
        folder = cache_dir / "runs" / f"{settings.architecture}-{number:03}"
        if not folder.exists():
            return folder
        if _left_settings(folder) == settings:
            return folder
    raise AssertionError  # the numbers do not end


def _refuse_finished(folder: Path, record: str) -> None:
    if (folder / record).exists() and not (folder / UNFINISHED).exists():
        raise InvalidRequest(f"{folder}: holds a finished run already; choose another output")


def _left_settings(folder: Path) -> RunFingerprint | None:
    file = folder / UNFINISHED
    try:
        # Before there were locators it had fewer fields.
        return from_json(RunFingerprint, parse_json(file.read_bytes()), allow_defaults=True)
    except FileNotFoundError:
        return None
    except (OSError, TypedJsonError) as error:
        raise RunError(f"{file}: damaged ({error}); remove {folder} and train again") from error
