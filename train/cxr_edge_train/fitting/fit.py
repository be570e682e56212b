"""Fit a model. One epoch is kept; a killed fit is resumed."""

from collections.abc import Sequence
from pathlib import Path

import keras

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.backend.devices import check_batch, compute_in_float32
from cxr_edge_train.backend.keras_models import load_keras
from cxr_edge_train.fitting.batches import Images, TrainingBatches
from cxr_edge_train.fitting.callbacks import ValidationMetrics
from cxr_edge_train.fitting.epochs import run_epochs
from cxr_edge_train.fitting.optimizers import compile_model, optimizer_of
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
    """Train the whole network and keep the epoch that the recipe names.

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
        progress = read_progress(output)
        if not progress.stopped and progress.epochs < recipe.fit.epochs:
            _run(model, recipe, train, validation, seed=seed, output=output, callbacks=callbacks)
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


def _run(
    model: keras.Model,
    recipe: Recipe,
    train: Images,
    validation: Images,
    *,
    seed: int,
    output: Path,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Run the remaining epochs."""
    settings = recipe.fit
    steps = max(1, len(train[1]) // settings.batch_size)
    compile_model(model, optimizer_of(settings, steps_per_epoch=steps))
    averaging = (
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if settings.weight_average else None
    )
    keeper = Keeper(output, settings)
    run_epochs(
        model,
        TrainingBatches(
            *train,
            recipe.augmentation,
            side=recipe.model.image_size,
            batch_size=settings.batch_size,
            seed=seed,
        ),
        output=output,
        last_epoch=settings.epochs,
        # The average must be in its place when the epoch is measured and saved.
        measuring=[*([averaging] if averaging else []), ValidationMetrics(validation)],
        callbacks=[*callbacks, keeper, Snapshot(output, keeper=keeper, averaging=averaging)],
        advice=_ADVICE,
    )
