"""A fit that takes a second, for tests that kill it or run it on another backend.

As a program: ``python small_fit.py FOLDER [MOMENT EPOCH]`` kills itself at that moment of that
epoch, counted from 1.
"""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cxr_edge_train.backend.devices import computing, description
from cxr_edge_train.fitting import snapshots
from cxr_edge_train.fitting.fit import fit
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from tiny_model import tiny_model

RECIPE = Recipe(
    Model(image_size=32),
    Augmentation(crop=0.9, rotation=15.0),
    Fit(
        batch_size=10,
        head_epochs=2,
        epochs=9,
        learning_rate=1e-2,
        warmup_epochs=1.0,
        weight_average=0.8,
        patience=3,
    ),
)
MOMENTS = ("in the epoch", "after the best model is written", "while the snapshot is written")


def films() -> tuple[np.ndarray, np.ndarray]:
    """60 noisy squares, every second with a bright middle."""
    labels = np.array([0, 1] * 30)
    pixels = np.random.default_rng(0).integers(0, 120, (60, 32, 32, 1)).astype(np.uint8)
    pixels[labels == 1, 8:24, 8:24] += 120
    return pixels, labels


def run(folder: Path, callbacks: Any = ()) -> keras.Model:
    """Fit in a folder, or go on there.

    A third of the validation labels is wrong, so that validation gets worse in the end: what
    stands in the snapshot, the best epoch and the patience, decides how it ends. The best AUC
    comes twice, the second time with a higher loss.
    """
    pixels, labels = films()
    wrong = labels[:27].copy()
    wrong[1::3] = 1 - wrong[1::3]
    with computing(RECIPE.fit):
        return fit(
            tiny_model(),
            RECIPE,
            (pixels, labels),
            (pixels[:27], wrong),
            seed=57,
            output=folder,
            callbacks=callbacks,
        )


def program(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this file as a program of its own."""
    return subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
    )


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of ``history.csv`` without the times."""
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    for row in rows:
        del row["seconds"]
    return rows


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _DieInEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch
        self._now = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._now = epoch + 1 == self._epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._now and batch == 2:
            _die()


def run_and_die(folder: Path, moment: str, epoch: int) -> None:
    """Fit until the moment, then end as a power cut would end it."""
    if moment == MOMENTS[0]:
        run(folder, [_DieInEpoch(epoch)])
    elif moment == MOMENTS[1]:
        on_epoch_end = snapshots.Snapshot.on_epoch_end

        def die_before(self: Any, number: int, logs: Any = None) -> None:
            if number + 1 == epoch:
                _die()
            on_epoch_end(self, number, logs)

        snapshots.Snapshot.on_epoch_end = die_before  # type: ignore[method-assign]
        run(folder)
    else:
        savez, calls = np.savez, 0

        def write_half(file: Path, **arrays: Any) -> None:
            nonlocal calls
            calls += 1
            savez(file, **arrays)
            if calls == epoch:
                with file.open("r+b") as stream:
                    stream.truncate(file.stat().st_size // 2)
                _die()

        np.savez = write_half  # type: ignore[assignment]
        run(folder)
    raise AssertionError("still alive")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if len(sys.argv) > 2:
        run_and_die(target, sys.argv[2], int(sys.argv[3]))
    else:
        print(keras.backend.backend(), description(RECIPE.fit))
        run(target)
