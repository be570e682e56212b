"""How the answers to many films are distributed: in a bundle, those on validation films.

A log of answers is compared with them. Probabilities and gate distances are each sorted by
themselves, so that they say nothing of a single film.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.arrays import pack_arrays, unpack_arrays
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleInvalid
from cxr_edge_runtime.manifest import MAX_REFERENCE_BYTES, REFERENCE_FILE

# Of more films as many evenly spaced quantiles are kept; their distribution function is off by
# less than 1 / 10,000, and the file stays below 100 KB.
_MOST_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class AnswerDistribution:
    """Two distributions and a share.

    Attributes:
        probabilities: ``[N] float32``, rising, of the films that the gate did not reject.
        distances: ``[N] float32``, rising, of the same films; ``[0]`` where there is no gate.
        films: how many films there were, the rejected ones too.
        rejected: how many of them the gate rejected.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]
    films: int
    rejected: int

    @property
    def answered(self) -> int:
        """How many films were not rejected."""
        return self.films - self.rejected

    @classmethod
    def of(
        cls,
        probabilities: NDArray[np.floating],
        distances: NDArray[np.floating],
        rejected: NDArray[np.bool_],
    ) -> "AnswerDistribution":
        """Of all films ``[N]``; ``distances`` are ``[0]`` where there is no gate."""
        return cls(
            _sorted(probabilities[~rejected]),
            _sorted(distances[~rejected] if len(distances) else distances),
            len(rejected),
            int(rejected.sum()),
        )

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = REFERENCE_FILE) -> "AnswerDistribution":
        """Read what :meth:`to_bytes` wrote.

        Raises:
            BundleInvalid: damaged, or arrays of other names, shapes or values.
        """
        arrays = unpack_arrays(
            content,
            ("probabilities", "distances", "films", "rejected"),
            file=name,
            max_bytes=MAX_REFERENCE_BYTES,
        )
        probabilities, distances = (
            arrays[key].astype(np.float32) for key in ("probabilities", "distances")
        )
        films, rejected = arrays["films"], arrays["rejected"]
        fits = (
            probabilities.ndim == distances.ndim == 1
            and len(probabilities) > 0
            and films.shape == rejected.shape == ()
            and 0 <= rejected < films
        )
        if not fits:
            raise BundleInvalid(f"{name}: no reference (arrays of other shapes or values)")
        rising = all((np.diff(values) >= 0).all() for values in (probabilities, distances))
        if not rising or probabilities[0] < 0 or probabilities[-1] > 1:
            raise BundleInvalid(f"{name}: no reference (values that are not sorted or no shares)")
        return cls(probabilities, distances, int(films), int(rejected))

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> "AnswerDistribution":
        """That of a bundle.

        Raises:
            BundleInvalid: it has none, or a damaged one.
        """
        if REFERENCE_FILE not in bundle.manifest.files:
            raise BundleInvalid(
                f"{bundle.path}: has no reference ({REFERENCE_FILE}) to compare with; convert the "
                "model again with this version"
            )
        return cls.from_bytes(bundle.read(REFERENCE_FILE))

    def to_bytes(self) -> bytes:
        """``reference.npz``, the same values the same bytes."""
        return pack_arrays(
            {
                "probabilities": self.probabilities,
                "distances": self.distances,
                "films": np.array(self.films, dtype=np.uint32),
                "rejected": np.array(self.rejected, dtype=np.uint32),
            }
        )


def _sorted(values: NDArray[np.floating]) -> NDArray[np.float32]:
    rising = np.sort(values).astype(np.float32)
    if len(rising) <= _MOST_VALUES:
        return rising
    return np.quantile(rising, np.linspace(0, 1, _MOST_VALUES)).astype(np.float32)
