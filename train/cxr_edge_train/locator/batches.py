"""Batches of random views for fitting the locator, reproducible from the seed."""

import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.fitting.batches import Named, SeededBatches
from cxr_edge_train.locator.views import random_view


class ViewBatches(SeededBatches):
    """Views and outlines of the training films."""

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
        super().__init__(len(films), batch_size=batch_size, seed=seed)
        self._pixels, self._masks = films, masks

    def __getitem__(self, index: int) -> tuple[Named, Named]:
        """One batch: views float32 ``[B, 128, 128, 1]`` and outlines ``[B, 32, 32, 1]``."""
        views, outlines = zip(*self.changed(self.chosen(index), self._view))
        images = np.stack(views)[..., np.newaxis].astype(np.float32)
        return {"image": images}, {"mask": np.stack(outlines)[..., np.newaxis]}

    def _view(
        self, film: int, random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return random_view(self._pixels[film], self._masks[film], random)
