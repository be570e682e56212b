"""Writing predictions to a log: for a call that ends, and for programs that run for months."""

from collections.abc import Callable
from pathlib import Path

from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog
from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, LogError

# Seconds that a film waits for another program which is writing to the log.
PATIENCE_S = 1.0


class LogWriter:
    """Adds classified films to the log; after an error the others are still classified.

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


class PredictionRecorder:
    """The log of the server and of ``watch``, whose errors keep no film from its answer."""

    def __init__(self, log: PredictionLog, on_error: Callable[[LogError], None]) -> None:
        """Write to an open log.

        Args:
            log: with a patience of :data:`PATIENCE_S`.
            on_error: called once with what keeps films from being logged, and again only when that
                happens after films were logged.
        """
        self._log, self._on_error = log, on_error
        self._failing = False

    def add(self, prediction: Prediction, bundle: Bundle) -> None:
        """Add a film that has a prediction."""
        try:
            self._log.append([LoggedFilm.of(prediction, bundle)])
        except LogError as error:
            if not self._failing:
                self._on_error(error)
            self._failing = True
        else:
            self._failing = False
