"""What the server does with a log of predictions: it never keeps a client from an answer."""

from cxr_edge.console.terminal import say
from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import LogError

# Seconds that an answer waits for another program which is writing to the log.
PATIENCE_S = 1.0


class PredictionRecorder:
    """A log whose errors are said once, until films are logged again."""

    def __init__(self, log: PredictionLog) -> None:
        """Write to an open log."""
        self._log = log
        self._failing = False

    def add(self, prediction: Prediction, bundle: Bundle) -> None:
        """Add a film that was answered."""
        try:
            self._log.append([LoggedFilm.of(prediction, bundle)])
        except LogError as error:
            if not self._failing:
                say(f"error: {error}; answers go on without it")
            self._failing = True
        else:
            self._failing = False
