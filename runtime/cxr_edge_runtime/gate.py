"""The input gate: is an image a usable frontal chest X-ray at all?

Three checks, the cheap ones first. What does the file itself say and show: colour, aspect ratio, a
blank picture? Does it resemble the mean of the training films, or its negative, or is it turned by
180 degrees? And how far is the network's ``embedding`` from those of the training films: an image
that is farther than most of them is suspicious, one that is much farther is rejected.

The distance is the Mahalanobis distance with a covariance of low rank,
``sum(p_i^2 / v_i) + |r|^2 / s``, where ``p`` are the coordinates on the first principal axes with
variances ``v``, and ``r`` is the remainder, with variance ``s`` on each other axis (probabilistic
PCA: Tipping and Bishop 1999, used for out-of-distribution detection by Lee et al. 2018). Embeddings
are sums of non-negative activations, so their square roots are taken and scaled to length 1 first;
both make the brightness of a film matter less.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.bundle.arrays import pack_arrays, unpack_arrays
from cxr_edge_runtime.bundle.manifest import GATE_FILE, MAX_BYTES, GateLimits
from cxr_edge_runtime.errors import BundleInvalid
from cxr_edge_runtime.images import GreyImage

ACCEPTED, SUSPICIOUS, REJECTED, NOT_CHECKED = "accepted", "suspicious", "rejected", "not_checked"

# Side of a thumbnail, pixels: enough for lungs, spine and diaphragm.
SIDE = 32
# Of 5,216 training films the widest has 2.6 times its height.
_MAX_ASPECT = 3.0
# Standard deviation of the thumbnail's greys: of films of the same set it is 27 or more, and one
# that was exported wrongly, 12 bits as 16, still has 1/16 of its own.
MIN_DEVIATION = 1.0
# Product with the mean film, whose sign says film or negative. Its correlation was measured as 0.23
# or more on training films and 0.12 or more on adult films of another hospital.
_MIN_RESEMBLANCE = 0.0

# How much better a film resembles the mean film when it is turned by 180 degrees, as a difference
# of correlations. Of 5,216 upright films the highest was 0.051. So near 0 the distance is asked
# too; it errs in one film of 300, and never in the same one.
_UNSURE = 0.06
_POSSIBLE, _CERTAIN = 1, 2
# What greys that differ by one level may change of such a difference.
_CLOSE = 0.005
# Standard deviation of the greys in a row or column that shows nothing; a scan's noise is less.
_FLAT = 4.0
# Such a row with a line of text: this share of it differs from its median by at most so many greys.
_PLAIN_SHARE, _PLAIN_GREYS = 0.5, 8
# Fewer rows or columns than the mean film has are not a film.
_LEAST_INSIDE = 32
# Margins that are brighter than this grey, and take more than this share of an image.
_BRIGHT, _MOST_MARGINS = 127.5, 0.1

# Of what has length 1, as embeddings and films have, no value and no variance is larger; a stored
# one may be by rounding. Smaller variances are rounding, too.
_MOST_VALUE, _LEAST_VARIANCE = 1.01, 1e-12

_UNLIKE = "does not look like a frontal chest X-ray"
UPSIDE_DOWN = "upside down: rotate it by 180°"
INVERTED = "inverted: bones are dark and air is bright; invert the grey values"
# What an image can be rejected for besides what it shows, and how the reason begins.
ORIENTATIONS = tuple(reason.partition(":")[0] for reason in (UPSIDE_DOWN, INVERTED))

# From model input [1, H, W, 1] to its embedding [1, C].
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the gate for one image.

    Attributes:
        verdict: :data:`ACCEPTED`, :data:`SUSPICIOUS`, :data:`REJECTED` or :data:`NOT_CHECKED`.
        reasons: why the image is suspicious or rejected, in text for the user.
        distance: from the embedding to those of the training films; None where none was computed.
        by_distance: whether the distance alone rejected the image.
        from_turning: how much the distances need to change for another answer to whether the image
            is upside down; infinity where they do not matter.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    distance: float | None = None
    by_distance: bool = False
    from_turning: float = math.inf

    @property
    def orientation(self) -> str:
        """One of :data:`ORIENTATIONS` where the image was rejected for that, else empty."""
        begins = (reason.partition(":")[0] for reason in self.reasons)
        return next((begin for begin in begins if begin in ORIENTATIONS), "")


@dataclass(frozen=True, slots=True)
class Gate:
    """The distribution of the training films, and the limits on the distance from it.

    Attributes:
        mean: ``[C] float32``, the mean of the transformed embeddings.
        axes: ``[K, C] float32``, their first principal axes.
        variances: ``[K] float32``, the variances along these axes.
        residual: the variance along each other axis.
        film: ``[32 * 32] float32``, the mean training film, with mean 0 and length 1.
        limits: the distances beyond which an image is suspicious or rejected.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float32]
    residual: float
    film: NDArray[np.float32]
    limits: GateLimits

    @classmethod
    def from_bytes(cls, content: bytes, limits: GateLimits, *, name: str = GATE_FILE) -> "Gate":
        """Read a gate that :meth:`to_bytes` wrote.

        Args:
            content: the bytes of ``gate.npz``.
            limits: on the distance; they are stored in the manifest.
            name: what error messages call the file.

        Raises:
            BundleInvalid: the file is damaged, or has arrays of other names, shapes or values.
        """
        arrays = unpack_arrays(
            content,
            ("mean", "axes", "variances", "residual", "film"),
            file=name,
            max_bytes=MAX_BYTES[GATE_FILE],
        )
        mean, axes, variances, residual, film = arrays.values()
        fits = (
            axes.ndim == 2
            and mean.shape == axes.shape[1:]
            and variances.shape == axes.shape[:1]
            and residual.shape == ()
            and film.shape == (SIDE * SIDE,)
        )
        if not fits:
            raise BundleInvalid(f"{name}: not a gate (arrays of other shapes)")
        # Of larger ones the distance may be no number, and that is beyond no limit.
        if any((np.abs(array) > _MOST_VALUE).any() for array in arrays.values()):
            raise BundleInvalid(f"{name}: not a gate (no value can be larger than 1)")
        if any((array < _LEAST_VARIANCE).any() for array in (variances, residual)):
            raise BundleInvalid(f"{name}: not a gate (variances must be positive)")
        mean, axes, variances, film = (
            array.astype(np.float32) for array in (mean, axes, variances, film)
        )
        return cls(mean, axes, variances, float(residual), film, limits)

    def to_bytes(self) -> bytes:
        """Return the bytes of ``gate.npz``, with the axes in 16 bits; equal arrays, equal bytes."""
        return pack_arrays(
            {
                "mean": self.mean,
                "axes": self.axes.astype(np.float16),
                "variances": self.variances,
                "residual": np.array(self.residual, dtype=np.float32),
                "film": self.film,
            }
        )

    def distance(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Measure how far embeddings are from those of the training films.

        Args:
            embedding: ``[N, C] float32``, as the network gives them.

        Returns:
            ``[N] float32``, the Mahalanobis distances.

        Raises:
            BundleInvalid: the embeddings have another number of channels than the gate.
        """
        if embedding.shape[1:] != self.mean.shape:
            raise BundleInvalid(
                f"{GATE_FILE}: made for a model with {self.mean.size} features, but this one has "
                f"{embedding.shape[1:]}"
            )
        centred = transformed(embedding) - self.mean
        along = centred @ self.axes.T
        # Rounding may make it slightly negative.
        rest = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        squared = (along**2 / self.variances).sum(axis=1) + rest / self.residual
        distance: NDArray[np.float32] = np.sqrt(squared).astype(np.float32)
        return distance

    def judge(
        self,
        objections: Sequence[str],
        doubts: Sequence[str],
        model_input: NDArray[np.uint8],
        embedding: NDArray[np.float32],
        embed: Embed,
        *,
        has_lungs: bool = False,
    ) -> Verdict:
        """Judge one image.

        Args:
            objections: what its file shows against it; see :func:`objections`.
            doubts: what else makes it suspicious.
            model_input: ``[1, H, W, 1] uint8``, the image as the network gets it.
            embedding: ``[1, C] float32`` of that input.
            embed: computes the embedding of another input; it is called only where the image may be
                a negative or upside down.
            has_lungs: whether a lung locator found lungs, which tell films from other images better
                than the distance does: then that rejects no image, however large it is, and none
                is called upside down or inverted.

        Returns:
            The verdict with its reasons. Any objection rejects the image.
        """
        inside, bright_margins = without_flat_margins(model_input)
        # Text in a margin keeps it, and text at the edge of a film cuts it: where the two differ,
        # neither of them is sure.
        crops = thumbnails((inside, without_captions(inside)))
        reasons = list(objections)
        distance, from_turning = float(self.distance(embedding)[0]), math.inf
        if crops[0].std() < MIN_DEVIATION:
            reasons.append("blank image")
        elif {UPSIDE_DOWN, INVERTED} & set(objections):
            pass  # a lung locator has seen it, which is surer than what follows
        elif (crops @ self.film < _MIN_RESEMBLANCE).all():
            reasons.append(_UNLIKE if has_lungs else self._unlike(model_input, embed))
        else:
            certainty, from_turning = self._upside_down(crops, distance, model_input, embed)
            if certainty == _CERTAIN:
                # What has lungs as it is would have none when it is turned.
                reasons.append(_UNLIKE if has_lungs else UPSIDE_DOWN)
            elif distance > self.limits.rejected and not has_lungs:
                by_distance = not reasons
                reasons.append(
                    f"{_UNLIKE} (distance {distance:.1f}; limit {self.limits.rejected:.1f})"
                )
                return Verdict(REJECTED, tuple(reasons), distance, by_distance, from_turning)
            elif certainty == _POSSIBLE:
                doubts = [*doubts, "may be upside down"]
        if reasons:
            return Verdict(REJECTED, tuple(reasons), distance, from_turning=from_turning)
        if bright_margins > _MOST_MARGINS:
            doubts = [*doubts, "bright margins: crop the image to the film"]
        if distance > self.limits.suspicious:
            unlike = (
                f"unlike the training films (distance {distance:.1f}; "
                f"99th percentile {self.limits.suspicious:.1f})"
            )
            doubts = [*doubts, unlike]
        verdict = SUSPICIOUS if doubts else ACCEPTED
        return Verdict(verdict, tuple(doubts), distance, from_turning=from_turning)

    def _unlike(self, model_input: NDArray[np.uint8], embed: Embed) -> str:
        """Why an image is not like the mean film: turned, a negative, or another."""
        turned, negative = (
            float(self.distance(embed(other))[0])
            for other in (_turned(model_input), 255 - model_input)
        )
        if min(turned, negative) > self.limits.rejected:
            return _UNLIKE
        return UPSIDE_DOWN if turned < negative else INVERTED

    def _upside_down(
        self,
        crops: NDArray[np.float32],
        distance: float,
        model_input: NDArray[np.uint8],
        embed: Embed,
    ) -> tuple[int, float]:
        """How sure it is that an image that resembles the mean film, if little, is upside down.

        Args:
            crops: ``[2, 32 * 32]``, thumbnails of the image without margins.
            distance: of the image's embedding.
            model_input: the whole image.
            embed: see :meth:`judge`.

        Returns:
            How sure it is, and how much the distances need to change for that to be otherwise.
        """
        # The last pixel becomes the first.
        better = (crops[:, ::-1] - crops) @ self.film / np.linalg.norm(crops, axis=1)
        is_at_a_limit = np.abs(np.subtract.outer(better, (-_UNSURE, 0, _UNSURE))).min() < _CLOSE
        if better.max() <= -_UNSURE:
            return 0, 0.0 if is_at_a_limit else math.inf
        turned = float(self.distance(embed(_turned(model_input)))[0])
        margin = 0.0 if is_at_a_limit else abs(turned - self.limits.rejected)
        if turned > self.limits.rejected:  # margins take both far from the training films
            return _POSSIBLE if better.max() > 0 else 0, margin
        if better.min() >= _UNSURE:
            return _CERTAIN, margin
        margin = min(margin, abs(turned - distance) / 2)  # both may change
        if better.min() > 0 and turned < distance:
            return _CERTAIN, margin
        return _POSSIBLE if better.max() > 0 or turned < distance else 0, margin


def unchecked(objections: Sequence[str], doubts: Sequence[str]) -> Verdict:
    """The verdict where there is no gate: what was found before it alone decides."""
    if objections:
        return Verdict(REJECTED, tuple(objections))
    return Verdict(SUSPICIOUS if doubts else NOT_CHECKED, tuple(doubts))


def objections(film: GreyImage) -> tuple[str, ...]:
    """List what the file itself shows against a frontal chest X-ray, in text for the user."""
    height, width = film.pixels.shape
    if max(height, width) > _MAX_ASPECT * min(height, width):
        return (*film.objections, f"unusual aspect ratio ({width}x{height})")
    return film.objections


def transformed(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transform embeddings ``[N, C]`` as distances are measured: square root, then length 1."""
    roots = np.sqrt(np.maximum(embedding, 0))
    lengths = np.linalg.norm(roots, axis=1, keepdims=True)
    unit: NDArray[np.float32] = roots / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


def thumbnails(model_inputs: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Squash images ``[H, W, 1] uint8`` to ``[N, 32 * 32] float32``, less the mean of each."""
    small = np.stack(
        [
            np.asarray(
                Image.fromarray(image[:, :, 0]).resize((SIDE, SIDE), Image.Resampling.BOX),
                dtype=np.float32,
            ).ravel()
            for image in model_inputs
        ]
    )
    centred: NDArray[np.float32] = small - small.mean(axis=1, keepdims=True)
    return centred


def inside_flat_margins(image: NDArray[np.uint8]) -> tuple[slice, slice]:
    """The rows and columns of ``[H, W]`` between edges of one grey; all where all is."""
    greys = image.astype(np.float32)
    rows, columns = (np.flatnonzero(greys.std(axis=axis) > _FLAT) for axis in (1, 0))
    if not rows.size or not columns.size:
        rows, columns = (np.arange(side) for side in image.shape)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def without_flat_margins(
    model_input: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], float]:
    """Cut rows and columns of one grey off the edges of ``[1, H, W, 1] uint8``.

    What is around a film, as in a scan, would decide what it resembles: white above it makes a film
    look turned, and white all round like a negative.

    Returns:
        What is left, ``[h, w, 1]``, the whole where there is nothing else; and the share of the
        image that was cut off where that is brighter than half of white, else 0.
    """
    whole = model_input[0]
    inside = whole[inside_flat_margins(whole[:, :, 0])]
    cut = whole.size - inside.size
    if not cut:
        return whole, 0.0
    brightness = (whole.sum(dtype=np.float64) - inside.sum(dtype=np.float64)) / cut
    return inside, cut / whole.size if brightness > _BRIGHT else 0.0


def without_captions(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut rows, then columns, that are plain but for text off the edges of ``[H, W, 1] uint8``.

    Returns:
        What is left, ``[h, w, 1]``; the whole where too little would be.
    """
    rows = _inside(image[:, :, 0])
    if rows.stop - rows.start < _LEAST_INSIDE:
        return image
    columns = _inside(image[rows, :, 0].T)
    if columns.stop - columns.start < _LEAST_INSIDE:
        return image
    return image[rows, columns]


def _inside(lines: NDArray[np.uint8]) -> slice:
    """From the first line ``[N, L]`` that is not plain to the last; none where all are."""
    # np.median would import numpy.ma, for which one film would wait 10 ms.
    middle = [(lines.shape[1] - 1) // 2, lines.shape[1] // 2]
    median = np.partition(lines, middle, axis=1)[:, middle].mean(axis=1, keepdims=True)
    plain = (np.abs(lines - median) <= _PLAIN_GREYS).mean(axis=1) >= _PLAIN_SHARE
    busy = np.flatnonzero(~plain)
    return slice(int(busy[0]), int(busy[-1]) + 1) if busy.size else slice(0, 0)


def _turned(model_input: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(model_input[:, ::-1, ::-1])
