"""Results of ``classify`` as rows of a log of predictions."""

from pathlib import Path

from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog
from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import CxrEdgeError, LogError


class LogWriter:
    """Adds the films that were answered; a full disk does not keep others from their answers.

    Attributes:
        error: what kept films from being added; None where nothing did.
    """

    def __init__(self, log: PredictionLog, bundle: Bundle) -> None:
        """Write to an open log."""
        self._log, self._bundle = log, bundle
        self.error: LogError | None = None

    def write(self, image: Path, result: Result) -> None:
        """Add one film; nothing more once that failed."""
        if self.error or isinstance(result, CxrEdgeError):
            return
        try:
            self._log.append([LoggedFilm.of(result, self._bundle)])
        except LogError as error:
            self.error = error

    def close(self) -> None:
        """Close the log."""
        self._log.close()
