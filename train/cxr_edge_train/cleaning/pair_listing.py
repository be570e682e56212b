"""Which near-duplicates are listed, where there are too many to list them all."""

import numpy as np
from numpy.typing import NDArray


class PairListing:
    """Lists the first pairs, and then only those that change what a split does.

    A pair changes it where it joins two groups of images, or where it doubts the label of an image
    outside test that no pair has doubted. So at most two pairs for each image come on top of the
    limit, though there may be as many pairs as the square of the images.
    """

    def __init__(self, labels: NDArray[np.str_], in_test: NDArray[np.bool_], *, limit: int) -> None:
        """Begin with every image in a group of its own and no label in doubt.

        Args:
            labels: ``[N]``, of each image.
            in_test: ``[N]``, whether the image is in test.
            limit: so many pairs are listed whatever they change.
        """
        self._labels, self._in_test = labels, in_test
        self._groups = np.arange(len(labels))
        self._doubted = np.zeros(len(labels), bool)
        self._room = limit

    def only_changing(self, first: int, others: NDArray[np.intp]) -> NDArray[np.intp]:
        """Drop the pairs of an image that would not be listed, so that none is correlated.

        Args:
            first: index of the image.
            others: ``[M]`` indices of those that it may be paired with.
        """
        if self._room > 0:
            return others
        joins = self._groups[others] != self._groups[first]
        kept: NDArray[np.intp] = others[joins | self._doubts(first, others)]
        return kept

    def add(self, first: int, second: int) -> bool:
        """Add a pair of images by their indices, and say whether it is listed."""
        doubts = bool(self._doubts(first, np.array([second]))[0])
        joins = bool(self._groups[first] != self._groups[second])
        if doubts:
            self._doubted[[first, second]] = True
        if joins:
            self._groups[self._groups == self._groups[second]] = self._groups[first]
        listed = doubts or joins or self._room > 0
        self._room -= listed
        return listed

    def _doubts(self, first: int, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        differ = self._labels[others] != self._labels[first]
        outside = ~(self._in_test[others] | self._in_test[first])
        new = ~(self._doubted[others] & self._doubted[first])
        doubts: NDArray[np.bool_] = differ & outside & new
        return doubts
