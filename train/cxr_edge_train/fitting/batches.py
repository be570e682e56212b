"""Batches for fitting, shuffled and augmented anew in each epoch, reproducible from the seed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight

from cxr_edge_runtime.device import available_cores
from cxr_edge_train.augmentation import augment, random_crop
from cxr_edge_train.recipe import Augmentation

Named = dict[str, NDArray[np.float32]]
Batch = tuple[Named, Named, Named]
# Pixels ``[N, H, W, 1] uint8`` and labels ``[N]`` of 0 and 1 of a split.
Images = tuple[NDArray[np.uint8], NDArray[np.integer]]
Changed = TypeVar("Changed")

# This keeps the random numbers of an epoch's order apart from those of an image.
_ORDER = 2**32 - 2
# Threads that augment a batch; Pillow lets go of the interpreter lock.
_THREADS = min(8, available_cores())


def class_weights(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Weights ``[N]`` of mean 1 under which both labels count alike in a loss."""
    weights: NDArray[np.float32] = compute_sample_weight("balanced", labels).astype(np.float32)
    return weights


class SeededBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is not typed
    """Batches of films that are drawn and changed anew in each epoch.

    The order of an epoch and the change of each film depend on the seed, the epoch and the film
    alone, never on threads or on the epochs that this process has seen.
    """

    def __init__(self, films: int, *, batch_size: int, seed: int) -> None:
        """Prepare the batches.

        Args:
            films: how many there are.
            batch_size: number of films in a batch.
            seed: seed of order and changes.
        """
        # One worker: with more, Keras asks for batches of the next epoch before it says that the
        # epoch begins, and on JAX trains on them.
        super().__init__(workers=1, use_multiprocessing=False)
        self._threads = ThreadPoolExecutor(_THREADS)
        self._films = films
        self._batch_size = batch_size
        self._seed = seed
        self.begin_epoch(0)

    def __len__(self) -> int:
        """The number of full batches in an epoch; films left over come in another epoch."""
        return max(1, self._films // self._batch_size)

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, which is counted from 0 over all phases.

        Keras' own ``on_epoch_end`` does not suffice: it is also called when Keras has only read
        the first batches, so counting its calls gives another order after a restart.
        """
        self._epoch = epoch
        random = np.random.default_rng((self._seed, epoch, 0, _ORDER))
        self._order = random.permutation(self._films)

    def close(self) -> None:
        """End the threads that change films."""
        self._threads.shutdown()

    def chosen(self, index: int) -> NDArray[np.intp]:
        """The films of a batch."""
        return self._order[index * self._batch_size : (index + 1) * self._batch_size]

    def changed(
        self, films: NDArray[np.intp], change: Callable[[int, np.random.Generator], Changed]
    ) -> list[Changed]:
        """Change films in threads, each with a generator of its own."""

        def changed(film: int) -> Changed:
            return change(film, np.random.default_rng((self._seed, self._epoch, film)))

        return list(self._threads.map(changed, films.tolist()))


class TrainingBatches(SeededBatches):
    """Images, logit targets and class weights of the training split."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.integer],
        augmentation: Augmentation,
        *,
        side: int,
        batch_size: int,
        seed: int,
    ) -> None:
        """Prepare the batches.

        Args:
            pixels: ``[N, H, W, 1] uint8``, what the model is shown of each film.
            labels: ``[N]`` of 0 and 1.
            augmentation: how images are changed.
            side: of the model input in pixels; crops are resized to it.
            batch_size: number of images in a batch.
            seed: seed of order and augmentation.
        """
        super().__init__(len(labels), batch_size=batch_size, seed=seed)
        self._pixels = pixels
        self._labels = labels
        self._augmentation = augmentation
        self._side = side
        self._weights = class_weights(labels)

    def __getitem__(self, index: int) -> Batch:
        """One batch: images float32 ``[B, side, side, 1]``, targets ``[B, 1]``, weights ``[B]``."""
        chosen = self.chosen(index)
        augmented = self.changed(chosen, self._augmented)
        images = np.stack(augmented)[..., np.newaxis].astype(np.float32)
        targets = self._labels[chosen, np.newaxis].astype(np.float32)
        return {"image": images}, {"logit": targets}, {"logit": self._weights[chosen]}

    def _augmented(self, image: int, random: np.random.Generator) -> NDArray[np.uint8]:
        film = self._pixels[image, :, :, 0]
        view = random_crop(film, self._side, self._augmentation, random)
        return augment(view, self._augmentation, random)
