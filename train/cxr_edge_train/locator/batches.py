"""Batches of random views for fitting the locator, reproducible from the seed."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.device import available_cores
from cxr_edge_train.locator.views import random_view

Named = dict[str, NDArray[np.float32]]

# Keeps the random numbers of an epoch's order apart from those of a film.
_ORDER = 2**32 - 2


class ViewBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is not typed
    """Views and outlines of the training films; each depends on seed, epoch and film alone."""

    def __init__(
        self,
        films: NDArray[np.uint8],
        masks: NDArray[np.uint8],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        """Prepare the batches.

        Args:
            films: ``[N, H, W] uint8``.
            masks: ``[N, H, W] uint8``, 255 where a film shows lung.
            batch_size: films in a batch.
            seed: seed of order and views.
        """
        # One worker, as in cxr_edge_train.fitting.batches.
        super().__init__(workers=1, use_multiprocessing=False)
        self._threads = ThreadPoolExecutor(min(8, available_cores()))
        self._films, self._masks = films, masks
        self._batch_size, self._seed = batch_size, seed
        self.begin_epoch(0)

    def __len__(self) -> int:
        """The number of full batches in an epoch; films left over come in another epoch."""
        return max(1, len(self._films) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Named, Named]:
        """One batch: views float32 ``[B, 128, 128, 1]`` and outlines ``[B, 32, 32, 1]``."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        views, outlines = zip(*self._threads.map(self._view, chosen))
        images = np.stack(views)[..., np.newaxis].astype(np.float32)
        return {"image": images}, {"mask": np.stack(outlines)[..., np.newaxis]}

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        self._epoch = epoch
        random = np.random.default_rng((self._seed, epoch, 0, _ORDER))
        self._order = random.permutation(len(self._films))

    def close(self) -> None:
        """End the threads that augment."""
        self._threads.shutdown()

    def _view(self, film: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        random = np.random.default_rng((self._seed, self._epoch, int(film)))
        return random_view(self._films[film], self._masks[film], random)
