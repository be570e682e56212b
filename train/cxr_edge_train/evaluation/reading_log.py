"""The log of readings: one JSON line for each time that test labels were read."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge_runtime.files import full_disk_named
from cxr_edge_runtime.files.outputs import check_file
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
        InvalidRequest: it is a folder, a device, a pipe or a link, cannot be written, or holds
            something other than readings.
    """
    check_file(log, "a log of readings of test", ours=_begins_with_a_reading)


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
    # A log is published; what groups a site's films is not for that.
    figures = {key: value for key, value in evaluation.as_dict().items() if key != "subgroups"}
    entry = {"date": today, "test_digest": digest, **figures}
    log.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_named(log), log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _begins_with_a_reading(log: Path) -> bool:
    with log.open("rb") as file:
        line = file.readline(_LONGEST_LINE)
    try:
        entry = json.loads(line)
    except ValueError:  # of what is no UTF-8, too
        return False
    return isinstance(entry, dict) and entry.keys() >= _FIELDS
