"""Batches for fitting: shuffled and augmented anew each epoch, reproducible from the seed."""

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.augmentation import augment
from cxr_edge_train.class_weights import balanced_class_weights
from cxr_edge_train.recipe import Augmentation

Named = dict[str, NDArray[np.float32]]
Batch = tuple[Named, Named, Named]

# Threads that augment while the network computes; Pillow lets go of the interpreter lock.
_WORKERS = 2


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is not typed
    """Images, logit targets and class weights of the training split.

    The order of an epoch and the augmentation of each image depend on the seed, the epoch and the
    image alone, never on threads.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.integer],
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        """Take ``pixels [N, H, W, 1] uint8`` and ``labels [N]`` of 0 and 1."""
        super().__init__(workers=_WORKERS, use_multiprocessing=False, max_queue_size=8)
        self._pixels = pixels
        self._labels = labels
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        weights = balanced_class_weights(labels)
        self._weights = np.array([weights[int(label)] for label in labels], dtype=np.float32)
        self._order = self._draw_order()

    def __len__(self) -> int:
        """Full batches in an epoch; the odd images of one epoch come in another."""
        return max(1, len(self._labels) // self._batch_size)

    def __getitem__(self, index: int) -> Batch:
        """One batch: images float32 ``[B, H, W, 1]``, targets ``[B, 1]``, weights ``[B]``."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        images = np.stack(
            [
                augment(
                    self._pixels[i, :, :, 0],
                    self._augmentation,
                    np.random.default_rng((self._seed, self._epoch, int(i))),
                )
                for i in chosen
            ]
        )
        return (
            {"image": images[..., np.newaxis].astype(np.float32)},
            {"logit": self._labels[chosen, np.newaxis].astype(np.float32)},
            {"logit": self._weights[chosen]},
        )

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self._epoch += 1
        self._order = self._draw_order()

    def _draw_order(self) -> NDArray[np.intp]:
        return np.random.default_rng((self._seed, self._epoch)).permutation(len(self._labels))
