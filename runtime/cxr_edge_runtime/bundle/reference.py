"""The predictions on many films: in a bundle, those on validation films.

A log of predictions is compared with their distribution. Probabilities and gate distances are
sorted separately, so nothing can be learned of a single film. The activation map of a film is
compared with the mean one of the normal films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.arrays import Numbers, pack_arrays, unpack_arrays
from cxr_edge_runtime.bundle.manifest import MAX_BYTES, REFERENCE_FILE
from cxr_edge_runtime.errors import BundleInvalid

# Of more films, so many evenly spaced quantiles are kept: the distribution function changes by
# less than 1 / 5,000.
_MOST_VALUES = 5_000
_LABELS = ("negative", "positive")
_KEYS = ("probabilities", "distances", "films", "rejected")
_NORMAL_MAP = "normal_map"


@dataclass(frozen=True, slots=True)
class PredictionDistribution:
    """The predictions on a set of films, without saying which film has which.

    Attributes:
        probabilities: ``[N] float32``, ascending, of the films that the gate did not reject.
        distances: ``[N] float32``, ascending, the gate distances of the same films; ``[0]`` where
            there is no gate.
        films: number of films, including the rejected ones.
        rejected: number of films that the gate rejected.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]
    films: int
    rejected: int

    @property
    def answered(self) -> int:
        """The number of films that were not rejected."""
        return self.films - self.rejected

    @classmethod
    def of(
        cls,
        probabilities: NDArray[np.floating],
        distances: NDArray[np.floating],
        rejected: NDArray[np.bool_],
    ) -> "PredictionDistribution":
        """Summarize the predictions on films.

        Args:
            probabilities: ``[N]``, of all films.
            distances: ``[N]``, of all films, or ``[0]`` where there is no gate.
            rejected: ``[N]``, whether the gate rejected each film.
        """
        return cls(
            _sorted(probabilities[~rejected]),
            _sorted(distances[~rejected] if len(distances) else distances),
            len(rejected),
            int(rejected.sum()),
        )


@dataclass(frozen=True, slots=True)
class VerifiedPredictions:
    """The predictions of a bundle on films whose labels are known.

    Attributes:
        negative: the predictions on films without the finding.
        positive: the predictions on films with the finding.
        normal_map: ``[h, w] float32``, the mean of the output ``cam`` over the films without the
            finding; None where the model has no such output, or an earlier version made the bundle.
    """

    negative: PredictionDistribution
    positive: PredictionDistribution
    normal_map: NDArray[np.float32] | None = None

    @property
    def share(self) -> float:
        """The share of films with the finding, 0 to 1."""
        return self.positive.films / (self.negative.films + self.positive.films)

    def mixed(self, share: float) -> PredictionDistribution:
        """Estimate the predictions at another prevalence of the finding.

        Args:
            share: of films with the finding, 0 to 1.

        Returns:
            A mixture of both distributions. Its number of films is the one at which a distribution
            function measured on that many films would have the same variance.
        """
        films = round(1 / ((1 - share) ** 2 / self.negative.films + share**2 / self.positive.films))
        positives = round(share * _MOST_VALUES)
        parts = ((self.negative, _MOST_VALUES - positives), (self.positive, positives))
        rejected = sum(part.rejected / part.films * count for part, count in parts)
        return PredictionDistribution(
            np.sort(np.concatenate([_quantiles(part.probabilities, n) for part, n in parts])),
            np.sort(np.concatenate([_quantiles(part.distances, n) for part, n in parts])),
            films,
            round(rejected / _MOST_VALUES * films),
        )

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = REFERENCE_FILE) -> "VerifiedPredictions":
        """Read what :meth:`to_bytes` wrote.

        Args:
            content: the bytes of ``reference.npz``.
            name: what error messages call the file.

        Raises:
            BundleInvalid: the file is damaged, or has arrays of other names, shapes or values.
        """
        names = tuple(f"{label}_{key}" for label in _LABELS for key in _KEYS)
        arrays = unpack_arrays(
            content,
            names,
            file=name,
            max_bytes=MAX_BYTES[REFERENCE_FILE],
            optional=(_NORMAL_MAP,),
        )
        normal = arrays.get(_NORMAL_MAP)
        if normal is not None and normal.ndim != 2:
            raise BundleInvalid(f"{name}: not a reference ({_NORMAL_MAP} is not a map)")
        negative, positive = (
            _read([arrays[f"{label}_{key}"] for key in _KEYS], name) for label in _LABELS
        )
        return cls(negative, positive, None if normal is None else normal.astype(np.float32))

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> "VerifiedPredictions":
        """Read the predictions that a bundle carries.

        Raises:
            BundleInvalid: the bundle has none, or damaged ones.
        """
        if REFERENCE_FILE not in bundle.manifest.files:
            raise BundleInvalid(
                f"{bundle.path}: has no reference ({REFERENCE_FILE}) to compare with; convert the "
                "model again with this version"
            )
        return cls.from_bytes(bundle.read(REFERENCE_FILE))

    def to_bytes(self) -> bytes:
        """Return the bytes of ``reference.npz``; equal values give equal bytes."""
        normal = {} if self.normal_map is None else {_NORMAL_MAP: self.normal_map}
        return pack_arrays(
            normal
            | {
                f"{label}_{key}": array
                for label, part in zip(_LABELS, (self.negative, self.positive))
                for key, array in (
                    ("probabilities", part.probabilities),
                    ("distances", part.distances),
                    ("films", np.array(part.films, dtype=np.uint32)),
                    ("rejected", np.array(part.rejected, dtype=np.uint32)),
                )
            }
        )


def _read(arrays: Sequence[NDArray[Numbers]], name: str) -> PredictionDistribution:
    probabilities, distances = (array.astype(np.float32) for array in arrays[:2])
    films, rejected = arrays[2:]
    fits = (
        probabilities.ndim == distances.ndim == 1
        and len(probabilities) > 0
        and films.shape == rejected.shape == ()
        and 0 <= rejected < films
    )
    if not fits:
        raise BundleInvalid(f"{name}: not a reference (arrays of other shapes or values)")
    rising = all((np.diff(values) >= 0).all() for values in (probabilities, distances))
    if not rising or probabilities[0] < 0 or probabilities[-1] > 1:
        raise BundleInvalid(f"{name}: not a reference (values out of order, or not probabilities)")
    return PredictionDistribution(probabilities, distances, int(films), int(rejected))


def _sorted(values: NDArray[np.floating]) -> NDArray[np.float32]:
    rising = np.sort(values).astype(np.float32)
    return rising if len(rising) <= _MOST_VALUES else _quantiles(rising, _MOST_VALUES)


def _quantiles(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if not len(values):
        return values
    return np.quantile(values, (np.arange(count) + 0.5) / count).astype(np.float32)


def normal_map(bundle: Bundle) -> NDArray[np.float32] | None:
    """Read the mean map of normal films that a bundle carries; None where it has none.

    Raises:
        BundleInvalid: its reference is damaged.
    """
    if REFERENCE_FILE not in bundle.manifest.files:
        return None
    return VerifiedPredictions.of_bundle(bundle).normal_map
