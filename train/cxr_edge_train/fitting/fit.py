"""Fit a model: first the head, then everything. One epoch is kept; a killed fit is resumed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.architectures.backbone import BACKBONE
from cxr_edge_train.backend.devices import check_batch, compute_in_float32
from cxr_edge_train.backend.keras_models import load_keras
from cxr_edge_train.fitting.batches import Images, TrainingBatches
from cxr_edge_train.fitting.callbacks import ValidationMetrics
from cxr_edge_train.fitting.epochs import run_epochs
from cxr_edge_train.fitting.optimizers import compile_model, fine_tuning_optimizer
from cxr_edge_train.fitting.snapshots import Keeper, Snapshot, read_progress, tidy
from cxr_edge_train.recipe import Recipe

_ADVICE = "lower learning_rate in the recipe's [fit] and train into another folder"


def fit(
    model: keras.Model,
    recipe: Recipe,
    train: Images,
    validation: Images,
    *,
    seed: int,
    output: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train the head with the backbone frozen, then the whole network.

    While it runs, ``output`` holds ``history.csv``, a snapshot of the last epoch and the model of
    the best epoch so far. Where a snapshot exists, fitting is resumed from it; the caller ensures
    that model, recipe, data and seed are the same, and discards the snapshot in the end.

    Args:
        model: from :func:`cxr_edge_train.architectures.build`.
        recipe: the hyper-parameters.
        train: pixels ``[N, H, W, 1] uint8``, of which crops become model input, and labels ``[N]``
            of 0 and 1.
        validation: model inputs and labels of the validation split; never augmented.
        seed: seed of shuffling and augmentation.
        output: folder of the fit.
        callbacks: additional Keras callbacks, such as a progress bar.

    Returns:
        The model of the epoch that the recipe keeps, with its optimizer state, computing in
        float32.

    Raises:
        RunError: the loss was no longer a number (the best model until then stays in ``output``),
            or what an earlier process left there is damaged.
        InvalidRequest: several devices cannot share a batch evenly.
        OSError: the disk is full; the previous snapshot stays.
    """
    check_batch(min(recipe.fit.batch_size, len(train[1])))
    tidy(output)
    try:
        task = _Fit(
            model,
            recipe,
            train,
            seed,
            output,
            ValidationMetrics(validation),
            callbacks,
        )
        if recipe.fit.head_epochs:
            task.head()
        task.fine_tune()
    except OSError:
        tidy(output)
        raise
    best = read_progress(output).best_file(output)
    if best is None:
        raise RunError(f"{output}: the validation loss was never finite; {_ADVICE}")
    chosen = load_keras(best, compiled=True, advice=f"remove {output} and train again")
    if isinstance(chosen.optimizer, keras.optimizers.LossScaleOptimizer):
        compute_in_float32(chosen)
        compile_model(chosen, chosen.optimizer.inner_optimizer)
    return chosen


@dataclass(frozen=True, slots=True)
class _Fit:
    """One fit; its two phases share all of this."""

    model: keras.Model
    recipe: Recipe
    train: Images
    seed: int
    output: Path
    measuring: ValidationMetrics
    callbacks: Sequence[keras.callbacks.Callback]

    def head(self) -> None:
        """Train the head on the frozen backbone."""
        settings = self.recipe.fit
        self.model.get_layer(BACKBONE).trainable = False
        compile_model(self.model, keras.optimizers.Adam(settings.head_learning_rate))
        snapshot = Snapshot(self.output, first_epoch=0)
        self._run(None, [snapshot], last_epoch=settings.head_epochs)

    def fine_tune(self) -> None:
        """Train the whole network and keep the epoch that the recipe names."""
        settings = self.recipe.fit
        self.model.get_layer(BACKBONE).trainable = True
        steps = max(1, len(self.train[1]) // settings.batch_size)
        optimizer = fine_tuning_optimizer(settings, steps_per_epoch=steps)
        compile_model(self.model, optimizer)
        averaging = (
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if settings.weight_average else None
        )
        keeper = Keeper(self.output, settings)
        snapshot = Snapshot(
            self.output, first_epoch=settings.head_epochs, keeper=keeper, averaging=averaging
        )
        self._run(averaging, [keeper, snapshot], last_epoch=settings.head_epochs + settings.epochs)

    def _run(
        self,
        averaging: keras.callbacks.SwapEMAWeights | None,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        last_epoch: int,
    ) -> None:
        """Run the remaining epochs of a phase."""
        progress = read_progress(self.output)
        if progress.stopped or progress.epochs >= last_epoch:
            return
        batches = TrainingBatches(
            *self.train,
            self.recipe.augmentation,
            side=self.recipe.model.image_size,
            batch_size=self.recipe.fit.batch_size,
            seed=self.seed,
        )
        run_epochs(
            self.model,
            batches,
            output=self.output,
            last_epoch=last_epoch,
            # The average must be in its place when the epoch is measured and saved.
            measuring=[*([averaging] if averaging else []), self.measuring],
            callbacks=[*self.callbacks, *callbacks],
            advice=_ADVICE,
        )
