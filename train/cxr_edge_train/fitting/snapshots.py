"""Snapshots of an unfinished fit, written after every epoch, so that a killed fit is resumed.

Keras' own callbacks cannot do this: after a restart ``ModelCheckpoint`` has forgotten the best
value and overwrites the best model, ``EarlyStopping`` counts from the beginning, and neither breaks
ties. Here one file, written atomically, holds everything that the next epoch depends on. The best
model lies beside it, named by its epoch; one that the snapshot does not know belongs to an epoch
that will be repeated.
"""

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files import full_disk_named, remove_temporaries, replacing
from cxr_edge_train.backend.keras_models import DAMAGED
from cxr_edge_train.recipe import Fit
from cxr_edge_train.runs import EPOCH_METRICS, HISTORY
from cxr_edge_train.statistics.kept_epoch import LAST, rank

SNAPSHOT = "snapshot.npz"
# The first epoch is 1.
BEST = "best-{epoch:04d}.keras"
_BEST_FILES = "best-[0-9][0-9][0-9][0-9].keras"


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far a fit has come.

    Attributes:
        epochs: number of finished epochs, over both phases.
        stopped: early stopping has ended the fit.
        best: the lowest place so far, see :func:`cxr_edge_train.statistics.kept_epoch.rank`.
        best_epoch: the epoch with that place, counted from 1; 0 before there is one.
        wait: number of epochs since then.
    """

    epochs: int = 0
    stopped: bool = False
    best: tuple[float, ...] = ()
    best_epoch: int = 0
    wait: int = 0

    def best_file(self, folder: Path) -> Path | None:
        """The file of the best model so far, or None before there is one."""
        return folder / BEST.format(epoch=self.best_epoch) if self.best_epoch else None


def has_snapshot(folder: Path) -> bool:
    """Whether a fit in a folder has finished an epoch."""
    return (folder / SNAPSHOT).exists()


def read_progress(folder: Path) -> FitProgress:
    """Read how far the fit in a folder has come; where there is none, it is at the beginning.

    Raises:
        RunError: the snapshot is damaged.
    """
    if not has_snapshot(folder):
        return FitProgress()
    with _arrays(folder) as arrays:
        content = dict(json.loads(str(arrays["progress"])))
        best = content.pop("best", [])
        # Snapshots of before version 0.2 have a single number.
        return FitProgress(**content, best=tuple(best) if isinstance(best, list) else (best,))


def tidy(folder: Path, measured: Sequence[str] = EPOCH_METRICS) -> None:
    """Remove what epochs left that the snapshot does not know, since they will be repeated.

    Args:
        folder: folder of a fit.
        measured: what its history says of validation.

    Raises:
        RunError: the snapshot or the history is damaged.
    """
    progress = read_progress(folder)
    remove_temporaries(folder)
    _keep_best(folder, progress.best_file(folder))
    history = folder / HISTORY
    if history.exists():
        lines = history.read_bytes().splitlines(keepends=True)
        if progress.epochs:
            if len(lines) <= progress.epochs or not lines[0].startswith(b"epoch,"):
                raise RunError(f"{history}: damaged; remove {folder} and train again")
            columns = set(lines[0].decode(errors="replace").strip().split(","))
            if columns != {"epoch", "loss", "seconds", *measured}:
                raise RunError(
                    f"{history}: an earlier version of cxr-edge started this training and measured "
                    f"its epochs differently; finish it with that version, or remove {folder} and "
                    "train again"
                )
        # The first line names the columns. Shortening a file works on a full disk, too.
        os.truncate(history, sum(map(len, lines[: progress.epochs + 1])) if progress.epochs else 0)


def restore(folder: Path, model: keras.Model) -> None:
    """Give a model the weights of the last finished epoch.

    Raises:
        RunError: the snapshot is damaged.
    """
    _assign(folder, model=model.variables)


def discard(folder: Path) -> None:
    """Remove the snapshot and the best model of a fit that is finished."""
    (folder / SNAPSHOT).unlink(missing_ok=True)
    _keep_best(folder, None)


def _keep_best(folder: Path, best: Path | None) -> None:
    for file in folder.glob(_BEST_FILES):
        if file != best:
            file.unlink()


class Keeper(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Saves the model of the best epoch so far, and ends the fit after epochs without a better one.

    Attributes:
        progress: the best epoch, its place and the number of epochs since then.
    """

    def __init__(self, folder: Path, settings: Fit) -> None:
        """Go on where the snapshot in the folder of a fit ends.

        Args:
            folder: folder of the fit.
            settings: the section ``[fit]`` of the recipe.
        """
        super().__init__()
        self.progress = read_progress(folder)
        self._folder = folder
        self._settings = settings

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save the model if the epoch is better than all before."""
        settings, before = self._settings, self.progress
        place = rank(settings.keep, epoch, logs or {})
        if place is not None and (not before.best_epoch or place < before.best):
            file = self._folder / BEST.format(epoch=epoch + 1)
            with full_disk_named(file):
                self.model.save(file)
            self.progress = replace(before, best=place, best_epoch=epoch + 1, wait=0)
            return
        self.progress = replace(before, wait=before.wait + 1)
        if settings.keep != LAST and self.progress.wait >= settings.patience:
            self.model.stop_training = True


class Snapshot(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Restores a snapshot when training begins, and writes one after each epoch.

    It must be the last callback, since it writes the state after all others have run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        first_epoch: int,
        keeper: Keeper | None = None,
        averaging: keras.callbacks.SwapEMAWeights | None = None,
    ) -> None:
        """Take the phase's first epoch and those callbacks whose state belongs to the fit.

        Args:
            folder: folder of the fit.
            first_epoch: first epoch of this phase; an earlier snapshot has another optimizer.
            keeper: the callback that keeps the best model.
            averaging: the callback that swaps weights with their average between epochs.
        """
        super().__init__()
        self._folder = folder
        self._first_epoch = first_epoch
        self._keeper = keeper
        self._averaging = averaging
        self._progress = read_progress(folder)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Restore everything as it was after the last finished epoch."""
        if self._progress.epochs <= self._first_epoch:
            if self._progress.epochs:  # the phase before this one has just ended, or had
                _assign(self._folder, model=self.model.variables)
            return
        if self._averaging is not None:
            # The snapshot was taken while the average was in the model's place.
            self._averaging.on_epoch_end(-1)
        _assign(self._folder, model=self.model.variables, optimizer=self.model.optimizer.variables)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the snapshot, then remove the best model that it has replaced."""
        if not math.isfinite((logs or {})["loss"]):
            return  # nothing worth resuming from; the previous snapshot stays
        kept = self._keeper.progress if self._keeper else self._progress
        progress = replace(kept, epochs=epoch + 1, stopped=self.model.stop_training)
        _write(
            self._folder,
            progress,
            model=self.model.variables,
            optimizer=self.model.optimizer.variables,
        )
        self._progress = progress
        _keep_best(self._folder, progress.best_file(self._folder))


def _write(folder: Path, progress: FitProgress, **variables: Any) -> None:
    arrays: dict[str, Any] = {
        f"{group}-{index}": np.asarray(keras.ops.convert_to_numpy(variable))
        for group, members in variables.items()
        for index, variable in enumerate(members)
    }
    with replacing(folder / SNAPSHOT) as temporary:
        np.savez(temporary, progress=json.dumps(asdict(progress)), **arrays)


def _assign(folder: Path, **variables: Any) -> None:
    with _arrays(folder) as arrays:
        for group, members in variables.items():
            if f"{group}-{len(members)}" in arrays:
                raise ValueError(f"it has more than {len(members)} variables of the {group}")
            for index, variable in enumerate(members):
                variable.assign(arrays[f"{group}-{index}"])


@contextmanager
def _arrays(folder: Path) -> Iterator[Any]:
    """The snapshot's arrays; any failure to read them means that the snapshot is damaged."""
    file = folder / SNAPSHOT
    try:
        # NumPy itself would leave a damaged file open.
        with file.open("rb") as stream, np.load(stream) as arrays:
            yield arrays
    except DAMAGED as error:
        raise RunError(f"{file}: damaged ({error}); remove {folder} and train again") from error
