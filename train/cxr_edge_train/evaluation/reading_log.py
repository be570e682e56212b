"""The log of readings: one JSON line for each time that test labels were read."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.evaluation.evaluation import Evaluation

# Every version wrote these, and `compare` needs them.
_FIELDS = {"date", "test_digest", "model_sha256", "metrics"}
# No line is nearly so long; a film without a line break is not read whole.
_LONGEST_LINE = 1 << 20


def check_log(log: Path) -> None:
    """Check that a file can keep readings, before there is one.

    Args:
        log: the file, which may be missing.

    Raises:
        InvalidRequest: it is a folder, a device, a pipe or a link to nothing, lies below a file, or
            holds something other than readings.
    """
    if log.is_dir():
        raise InvalidRequest(f"{log}: is a folder; name the file that records readings of test")
    if log.is_symlink() and not log.exists():
        raise InvalidRequest(f"{log}: is a link to nothing; name the file itself")
    if not log.exists():
        above = next(folder for folder in log.absolute().parents if folder.exists())
        if not above.is_dir():
            raise InvalidRequest(f"{log}: {above} is a file, not a folder")
        return
    if not log.is_file():
        raise InvalidRequest(
            f"{log}: is not a regular file, so it would not keep readings of test; name a file"
        )
    with log.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    if first and not _is_reading(first):
        raise InvalidRequest(
            f"{log}: is no log of readings of test, since its first line is none; name another file"
        )


def log_test_reading(log: Path, evaluation: Evaluation, digest: str) -> None:
    """Append one JSON line to the log: every reading of test labels is recorded.

    The line is on the disk when this returns, so that no figure is shown that is not recorded.

    Args:
        log: the file to append to; made where it is missing.
        evaluation: what was found.
        digest: digest of the test images.

    Raises:
        InvalidRequest: see :func:`check_log`.
        OSError: the file cannot be written.
    """
    check_log(log)  # again: much time has passed since it was checked first
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    entry = {"date": today, "test_digest": digest, **evaluation.as_dict()}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _is_reading(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:  # of what is no UTF-8, too
        return False
    return isinstance(entry, dict) and entry.keys() >= _FIELDS
