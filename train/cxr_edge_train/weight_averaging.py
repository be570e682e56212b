"""Several fits from the same beginning, and one model whose weights are their mean.

Fits that begin with the same pretrained weights end in the same valley of the loss, each at another
side of it; the mean of their weights is often better than any of them, most of all on images unlike
the training images, and costs no more on the device (Wortsman et al. 2022, "Model soups"; Ramé et
al. 2022, "Diverse Weight Averaging for Out-of-Distribution Generalization").
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.files import replacing
from cxr_edge_train.batches import TrainingBatches
from cxr_edge_train.fitting import Images, fit
from cxr_edge_train.recipe import Recipe
from cxr_edge_train.snapshots import HISTORY, discard, has_snapshot, read_progress


def fit_folders(output: Path, fits: int) -> list[Path]:
    """Where each fit keeps its state: the run's folder, or one below it for each of several."""
    return [output] if fits == 1 else [output / f"fit-{number + 1}" for number in range(fits)]


def is_begun(output: Path) -> bool:
    """Whether an epoch of any fit was finished in a run's folder."""
    return any(map(has_snapshot, [output, *output.glob("fit-*")]))


def epochs_done(output: Path, fits: int) -> int:
    """Epochs finished, over all fits.

    Raises:
        RunError: a snapshot is damaged.
    """
    return sum(read_progress(folder).epochs for folder in fit_folders(output, fits))


def fit_and_average(
    start: Callable[[int], keras.Model],
    recipe: Recipe,
    train: Images,
    validation: Images,
    *,
    seed: int,
    output: Path,
    drawing: NDArray[np.float64] | None = None,
    callbacks: Callable[[int], Sequence[keras.callbacks.Callback]] = lambda number: (),
) -> keras.Model:
    """Fit as often as the recipe says, from the seed on, and average; one fit is itself.

    Args:
        start: an untrained model from a seed.
        recipe: hyper-parameters.
        train: see :func:`cxr_edge_train.fitting.fit`, as all that follows.
        validation: the same.
        seed: of the first fit; each other one has the next.
        output: the run's folder; ``history.csv`` in it is written when all fits are done, losses
            being means over them and seconds sums.
        drawing: the same for all fits.
        callbacks: more Keras callbacks of each fit, counted from 0.

    Returns:
        The model of the one fit, or the average, which has no optimizer.

    Raises:
        RunError: as ``fit``.
        InvalidRequest: as ``fit``.
        OSError: as ``fit``.
    """
    fits = recipe.fit.fits
    folders = fit_folders(output, fits)
    models = []
    for number, folder in enumerate(folders):
        folder.mkdir(exist_ok=True)
        models.append(
            fit(
                start(seed + number),
                recipe,
                train,
                validation,
                seed=seed + number,
                output=folder,
                drawing=drawing,
                callbacks=callbacks(number),
            )
        )
    if fits == 1:
        return models[0]
    with replacing(output / HISTORY) as temporary:
        mean_history([folder / HISTORY for folder in folders]).to_csv(
            temporary, index=False, lineterminator="\n"
        )
    batches = TrainingBatches(
        *train,
        recipe.augmentation,
        batch_size=recipe.fit.batch_size,
        seed=seed + fits,
        drawing=drawing,
    )
    average = mean_weights(models)
    renew_batch_norm(average, (batches[index][0] for index in range(len(batches))))
    return average


def discard_fits(output: Path) -> None:
    """Remove what the fits of a finished run left to go on from."""
    discard(output)
    for folder in output.glob("fit-*"):
        shutil.rmtree(folder)


def mean_history(files: Sequence[Path]) -> pd.DataFrame:
    """One row an epoch over several ``history.csv``: means, and of seconds the sum.

    Where early stopping ended fits at different epochs, the later rows are of those still going.
    """
    rows = pd.concat([pd.read_csv(file) for file in files])
    by_epoch = rows.groupby("epoch")
    means = by_epoch.mean()
    return means.assign(seconds=by_epoch["seconds"].sum().round(2)).reset_index()


def mean_weights(models: Sequence[keras.Model]) -> keras.Model:
    """A model like the first, not compiled, with the mean of all weights."""
    average = keras.models.clone_model(models[0])
    average.set_weights(
        [np.mean(weights, axis=0) for weights in zip(*(model.get_weights() for model in models))]
    )
    return average


def renew_batch_norm(model: keras.Model, inputs: Iterator[dict[str, NDArray[np.float32]]]) -> None:
    """Measure anew the means and variances that batch normalisation goes by.

    Those of the fits belong to other weights. Layers that are frozen keep theirs.

    Args:
        model: changed in place.
        inputs: batches of training images as the model takes them.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for count, batch in enumerate(inputs):
        for layer in layers:
            # The running mean of all batches so far.
            layer.momentum = count / (count + 1)
        model(batch, training=True)
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
