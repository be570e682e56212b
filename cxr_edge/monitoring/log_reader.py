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
        raise LogError(f"{path}: no such log; classify, serve and score write one")
    try:
        with contextlib.closing(sqlite3.connect(_read_only(path), uri=True)) as log:
            check_is_log(log, path)
            rows = np.array(
                log.execute(
                    "SELECT gate = ?, probability, distance FROM films WHERE rowid IN (SELECT "
                    "max(rowid) FROM films WHERE bundle_sha256 = ? AND at >= ? AND at < ? GROUP BY "
                    "image_sha256)",
                    (REJECTED, bundle, since or "", before or "9"),
                ).fetchall(),
                dtype=np.float32,
            ).reshape(-1, 3)
            if not len(rows):
                raise LogError(f"{path}: {_nothing_of(log, bundle)}")
    except sqlite3.Error as error:
        reason = why_unusable(error, path)
        raise LogError(f"{path}: cannot be read as a log ({reason})") from error
    except (TypeError, ValueError):  # SQLite keeps any text in a column of numbers
        raise LogError(f"{path}: is damaged: a number of a film is none") from None
    rejected, probabilities, distances = rows[:, 0] == 1, rows[:, 1], rows[:, 2]
    answers, measured = probabilities[~rejected], distances[~rejected]
    if not ((answers >= 0) & (answers <= 1)).all():
        raise LogError(f"{path}: is damaged: a film has no probability of 0 to 1")
    if np.isinf(measured).any():
        raise LogError(f"{path}: is damaged: the gate distance of a film is no number")
    if np.isnan(measured).any():  # no gate, so that nothing was measured
        distances = distances[:0]
    return PredictionDistribution.of(probabilities, distances, rejected)


def _read_only(path: Path) -> str:
    """The address of a log that is only read."""
    path = path.resolve()
    # Beside a log SQLite makes files even to read it. Where it cannot, nobody writes, either.
    finished = not path.with_name(f"{path.name}-wal").exists()
    read_only = finished and not os.access(path.parent, os.W_OK)
    return f"{path.as_uri()}?mode=ro" + ("&immutable=1" if read_only else "")


def _nothing_of(log: sqlite3.Connection, bundle: str) -> str:
    digests = [
        digest[:12]
        for (digest,) in log.execute("SELECT DISTINCT bundle_sha256 FROM films ORDER BY 1")
    ]
    if not digests:
        return "holds no film yet"
    if bundle[:12] in digests:
        return f"holds no film that bundle {bundle[:12]} classified in that time"
    return (
        f"holds no film that bundle {bundle[:12]} classified, but some of {', '.join(digests)}; "
        "choose the bundle that classified them"
    )
