"""What training tells its caller while it runs, and the Keras callbacks that it asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from cxr_edge_train.recipe import Fit


@dataclass(frozen=True, slots=True)
class RunStart:
    """A run that is about to be trained.

    Attributes:
        architecture: name of the architecture.
        folder: folder of the run.
        devices: what it is computed on and in which precision, for example ``cpu:0, float32``.
        epochs_done: number of epochs that an interrupted training left finished.
        finished: the whole run was finished earlier; nothing is trained.
    """

    architecture: str
    folder: Path
    devices: str
    epochs_done: int = 0
    finished: bool = False


@dataclass(frozen=True, slots=True)
class FitStart:
    """The fit of a run that is about to begin.

    Attributes:
        folder: folder of the run.
        settings: the section ``[fit]`` of the run's recipe.
    """

    folder: Path
    settings: Fit


OnStart = Callable[[RunStart], None]
CallbackFactory = Callable[[FitStart], Sequence[keras.callbacks.Callback]]


def ignore_start(start: RunStart) -> None:
    """An :data:`OnStart` that does nothing."""


def no_callbacks(fit: FitStart) -> Sequence[keras.callbacks.Callback]:
    """A :data:`CallbackFactory` that adds no callback."""
    return ()
