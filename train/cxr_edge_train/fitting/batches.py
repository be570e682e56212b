"""Batches for fitting, shuffled and augmented anew in each epoch, reproducible from the seed."""

from concurrent.futures import ThreadPoolExecutor

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

# This keeps the random numbers of an epoch's order apart from those of an image, whose last number
# says how often the image came before.
_ORDER = 2**32 - 2
# Threads that augment a batch; Pillow lets go of the interpreter lock.
_THREADS = min(8, available_cores())


def class_weights(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Weights ``[N]`` of mean 1 under which both labels count alike in a loss."""
    weights: NDArray[np.float32] = compute_sample_weight("balanced", labels).astype(np.float32)
    return weights


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is not typed
    """Images, logit targets and class weights of the training split.

    The order of an epoch and the augmentation of each image depend on the seed, the epoch and the
    image alone, never on threads or on the epochs that this process has seen.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.integer],
        augmentation: Augmentation,
        *,
        side: int,
        batch_size: int,
        seed: int,
        sampling_weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Prepare the batches.

        Args:
            pixels: ``[N, H, W, 1] uint8``, what the model is shown of each film.
            labels: ``[N]`` of 0 and 1.
            augmentation: how images are changed.
            side: of the model input in pixels; crops are resized to it.
            batch_size: number of images in a batch.
            seed: seed of order and augmentation.
            sampling_weights: ``[N]`` of mean 1, how often each image comes in an epoch on average;
                every image comes once where it is None.
        """
        # One worker: with more, Keras asks for batches of the next epoch before it says that the
        # epoch begins, and on JAX trains on them.
        super().__init__(workers=1, use_multiprocessing=False)
        self._threads = ThreadPoolExecutor(_THREADS)
        self._pixels = pixels
        self._labels = labels
        self._augmentation = augmentation
        self._side = side
        self._batch_size = batch_size
        self._seed = seed
        self._sampling_weights = sampling_weights
        self._weights = class_weights(labels)
        self.begin_epoch(0)

    def __len__(self) -> int:
        """The number of full batches in an epoch; images left over come in another epoch."""
        return max(1, len(self._labels) // self._batch_size)

    def __getitem__(self, index: int) -> Batch:
        """One batch: images float32 ``[B, side, side, 1]``, targets ``[B, 1]``, weights ``[B]``."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        repeats = self._repeats[index * self._batch_size : (index + 1) * self._batch_size]
        augmented = list(self._threads.map(self._augmented, chosen, repeats))
        images = np.stack(augmented)[..., np.newaxis].astype(np.float32)
        targets = self._labels[chosen, np.newaxis].astype(np.float32)
        return {"image": images}, {"logit": targets}, {"logit": self._weights[chosen]}

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, which is counted from 0 over all phases.

        Keras' own ``on_epoch_end`` does not suffice: it is also called when Keras has only read
        the first batches, so counting its calls gives another order after a restart.
        """
        self._epoch = epoch
        random = np.random.default_rng((self._seed, epoch, 0, _ORDER))
        images = np.arange(len(self._labels))
        if self._sampling_weights is not None:
            images = np.repeat(images, _whole_numbers(self._sampling_weights, random))
        self._order = random.permutation(images)
        self._repeats = _times_before(self._order)

    def close(self) -> None:
        """End the threads that augment."""
        self._threads.shutdown()

    def _augmented(self, image: int, repeat: int) -> NDArray[np.uint8]:
        # An image that comes twice in an epoch is augmented differently the second time.
        random = np.random.default_rng((self._seed, self._epoch, int(image), int(repeat)))
        film = self._pixels[image, :, :, 0]
        view = random_crop(film, self._side, self._augmentation, random)
        return augment(view, self._augmentation, random)


def _whole_numbers(expected: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """Draw counts ``[N]`` whose mean over epochs is ``expected`` and whose sum is its rounded sum.

    This is systematic sampling (Madow 1949): the images are put into random order, and points at
    distance 1, the first of them random, are laid along the running sum of their expected counts.
    """
    order = random.permutation(len(expected))
    ends = np.cumsum(expected[order]) + random.random()
    found = np.empty(len(expected), dtype=np.int64)
    found[order] = np.diff(np.floor(ends), prepend=0)
    return found


def _times_before(images: NDArray[np.integer]) -> NDArray[np.integer]:
    """For each entry ``[N]``, how often it occurred before."""
    order = np.argsort(images, kind="stable")
    ordered = images[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    times = np.empty_like(order)
    times[order] = np.arange(len(images)) - starts
    return times
