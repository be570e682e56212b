"""How the predictions of a bundle in a log are distributed."""

import contextlib
import os
import sqlite3
from pathlib import Path

import numpy as np

from cxr_edge.monitoring.prediction_log import check_is_log, why_unusable
from cxr_edge_runtime.bundle.reference import PredictionDistribution
from cxr_edge_runtime.errors import LogError
from cxr_edge_runtime.gate import REJECTED

# SQLite keeps text where the column says REAL, and numbers that are none in 32 bits.
_ODD = (
    "SELECT EXISTS (SELECT 1 FROM films WHERE typeof(probability) NOT IN ('real', 'null') OR "
    "typeof(distance) NOT IN ('real', 'null') OR probability NOT BETWEEN 0 AND 1 OR "
    "abs(distance) > 1e30 OR (probability IS NULL AND gate <> ?))"
)


def read_distribution(
    path: Path, *, bundle: str, since: str | None = None, before: str | None = None
) -> PredictionDistribution:
    """How a bundle's predictions in a log are distributed; of a film's several the last counts.

    Without the gate distance where an answered film has none.

    Args:
        path: the log; it is only read, also while others write to it.
        bundle: digest of the bundle.
        since: only films from then on, written as
            :attr:`cxr_edge.monitoring.prediction_log.LoggedFilm.at`.
        before: only films before.

    Raises:
        LogError: no such log, no film of this bundle and time in it, or a film that no version
            wrote.
    """
    if not path.is_file():
        raise LogError(f"{path}: no such log; classify, watch, serve and score write one")
    try:
        with contextlib.closing(sqlite3.connect(_read_only(path), uri=True)) as log:
            check_is_log(log, path)
            found = log.execute(
                "SELECT gate = ?, probability, distance FROM films WHERE rowid IN (SELECT "
                "max(rowid) FROM films WHERE bundle_sha256 = ? AND at >= ? AND at < ? GROUP BY "
                "image_sha256)",
                (REJECTED, bundle, since or "", before or "9"),
            ).fetchall()
            if not found:
                raise LogError(f"{path}: {_nothing_of(log, bundle, since, before)}")
            (is_odd,) = log.execute(_ODD, (REJECTED,)).fetchone()
            if is_odd:
                raise LogError(f"{path}: cannot be read as a log (a film has an impossible value)")
    except sqlite3.Error as error:
        reason = why_unusable(error, path)
        raise LogError(f"{path}: cannot be read as a log ({reason})") from error
    rows = np.array(found, dtype=np.float32)
    rejected, probabilities, distances = rows[:, 0] == 1, rows[:, 1], rows[:, 2]
    # No gate, so that nothing was measured.
    if np.isnan(distances[~rejected]).any():
        distances = distances[:0]
    return PredictionDistribution.of(probabilities, distances, rejected)


def _read_only(path: Path) -> str:
    """The address of a log that is only read."""
    path = path.resolve()
    # Beside a log SQLite makes files even to read it. Where it cannot, nobody writes, either.
    finished = not path.with_name(f"{path.name}-wal").exists()
    read_only = finished and not os.access(path.parent, os.W_OK)
    return f"{path.as_uri()}?mode=ro" + ("&immutable=1" if read_only else "")


def _nothing_of(log: sqlite3.Connection, bundle: str, since: str | None, before: str | None) -> str:
    digests = [
        str(digest)[:12]
        for (digest,) in log.execute("SELECT DISTINCT bundle_sha256 FROM films ORDER BY 1")
    ]
    if not digests:
        return "holds no film yet"
    if bundle[:12] in digests:
        times = (("since", since), ("before", before))
        when = " and ".join(f"{word} {time}" for word, time in times if time)
        return f"holds no film that bundle {bundle[:12]} classified {when}"
    return (
        f"holds no film that bundle {bundle[:12]} classified, but some of {', '.join(digests)}; "
        "choose the bundle that classified them"
    )
