"""What the input gate of a bundle knows: where films lie, and how far from them is too far.

Where films lie is learned once, from the float model's embeddings of training films, as they are
and made to look different, as films of another hospital might. The limits are set for each variant
on its own embeddings from the engine that will run it, since INT8's lie a little elsewhere.
``suspicious`` is the 99% quantile of validation films, ``rejected`` the 97% quantile of training
films that were made to look different and that were not learned from. Images that are no films do
not set limits either: those that a user has at hand say little of those that a device will meet, so
they only measure the gate.

Where a lung locator finds lungs, the distance rejects nothing: see docs/results/input-gate.md.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.out_of_distribution import OutOfDistributionImages
from cxr_edge_convert.verification import engine_outputs
from cxr_edge_runtime.bundle.manifest import GateLimits
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.engines import Engine
from cxr_edge_runtime.gate import REJECTED, Gate, thumbnails, transformed
from cxr_edge_runtime.locator import NO_LUNGS
from cxr_edge_train.augmentation import augment, random_crop
from cxr_edge_train.backend.keras_models import predict_output
from cxr_edge_train.locator.views import LOOKS

# Training films that teach where films lie.
FILMS = 1000
# Principal axes that are kept, so that gate.npz stays below 200 KB also for 1,920 channels.
_AXES = 32
_SUSPICIOUS = 0.99
# Augmentation changes a film far more than another device does, so a few in a hundred may go.
# Chosen once, knowing the 96 things of docs/results/input-gate.md: at 0.995, with the changes of
# then, 8 of them were only suspicious.
_REJECTED = 0.97
# How films of another hospital may look: in the greys that a lung locator learns from, and framed
# otherwise. The area was chosen knowing the adults and other images of docs/results/input-gate.md.
_ELSEWHERE = replace(LOOKS, crop=0.7)
# Of out-of-distribution images; more is a warning.
MAX_LET_THROUGH = 0.05
# Of embeddings of length 1.
_LEAST_VARIANCE = 1e-9
# The distance of one film alone differs in the last digits from its distance among others. Where an
# INT8 network gives the same for every film, that decided whether it rejects none of them or all.
_ROUNDING = 1 + 1e-5
_NO_LIMITS = GateLimits(float("inf"), float("inf"))

# Of one image: what speaks against it, and what makes it suspicious.
Remarks = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class GateCounts:
    """How many images of each kind get which verdict.

    Attributes:
        validation: the number of validation films by verdict.
        augmented: the number of training films that were made to look different, by verdict. They
            set the limit.
        non_films: the number of out-of-distribution images by category and verdict.
        unreadable: how many more could not be read.
    """

    validation: dict[str, int]
    augmented: dict[str, int]
    non_films: dict[str, dict[str, int]]
    unreadable: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence where the gate lets through too many images, and where some were not read."""
        unread = counted(self.unreadable, "file")
        unreadable = (
            (f"the input gate was measured without {unread} (unreadable)",)
            if self.unreadable
            else ()
        )
        n = sum(sum(counts.values()) for counts in self.non_films.values())
        let_through = n - sum(counts.get(REJECTED, 0) for counts in self.non_films.values())
        if let_through <= MAX_LET_THROUGH * n:
            return unreadable
        return (
            *unreadable,
            f"the input gate lets through {let_through} of {n} images that are not chest X-rays, "
            f"more than {MAX_LET_THROUGH:.0%}",
        )


def augmented_films(pixels: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
    """Films ``[N, H, W, 1] uint8`` made to look different, as films of another hospital might.

    The model's own recipe is not asked: what a film may look like does not depend on it.
    """
    random = np.random.default_rng(seed)
    side = pixels.shape[1]
    cropped = [random_crop(image[:, :, 0], side, _ELSEWHERE, random) for image in pixels]
    return np.stack([augment(image, _ELSEWHERE, random) for image in cropped])[..., np.newaxis]


def film_gate(model: keras.Model, films: NDArray[np.uint8], augmented: NDArray[np.uint8]) -> Gate:
    """Learn where films lie; the gate has no limits yet.

    Args:
        model: a model of the contract that gives an ``embedding``.
        films: training films ``[N, H, W, 1] uint8``. The mean film is of these alone.
        augmented: films ``[N, H, W, 1] uint8`` from :func:`augmented_films`.
    """
    embeddings = transformed(
        np.concatenate(
            [predict_output(model, pixels, "embedding") for pixels in (films, augmented)]
        )
    )
    mean = embeddings.mean(axis=0)
    _, scales, axes = np.linalg.svd(embeddings - mean, full_matrices=False)
    # Channels that never change have no variance; a device's rounding must not count as distance.
    variances = np.maximum(scales**2 / (len(embeddings) - 1), _LEAST_VARIANCE)
    kept = min(_AXES, len(variances) - 1)
    small = thumbnails(films)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    film = small.mean(axis=0)
    gate = Gate(
        mean=mean,
        axes=axes[:kept],
        variances=variances[:kept],
        residual=max(float(variances[kept:].sum() / (embeddings.shape[1] - kept)), _LEAST_VARIANCE),
        film=film / np.linalg.norm(film),
        limits=_NO_LIMITS,
    )
    # As the device will read it, rounded.
    return Gate.from_bytes(gate.to_bytes(), _NO_LIMITS)


def with_limits(
    gate: Gate,
    engine: Engine,
    *,
    validation: tuple[NDArray[np.uint8], NDArray[np.float32]],
    augmented: NDArray[np.uint8],
    out_of_distribution: OutOfDistributionImages,
    remarks: Sequence[Remarks] | None = None,
) -> tuple[Gate, GateCounts]:
    """Set the limits of a variant's gate, and count how many images they reject.

    Args:
        gate: the gate from :func:`film_gate`.
        engine: the variant.
        validation: films ``[N, H, W, 1] uint8`` and the variant's embeddings ``[N, C]`` of them.
        augmented: films from :func:`augmented_films` that the gate did not learn from.
        out_of_distribution: images that are not chest X-rays.
        remarks: what the lung locator says of each validation film; None where there is none.
    """
    changed = (augmented, engine_outputs(engine, augmented)["embedding"])
    suspicious = _ROUNDING * float(np.quantile(gate.distance(validation[1]), _SUSPICIOUS)) or 1.0
    rejected = _ROUNDING * float(np.quantile(gate.distance(changed[1]), _REJECTED))
    gate = replace(gate, limits=GateLimits(suspicious, max(suspicious, rejected)))
    located = remarks is not None
    return gate, GateCounts(
        validation=_counts(verdicts(gate, engine, *validation, remarks, located=located)),
        augmented=_counts(verdicts(gate, engine, *changed, located=located)),
        non_films=_by_category(gate, engine, out_of_distribution, located=located),
        unreadable=out_of_distribution.unreadable,
    )


def verdicts(
    gate: Gate,
    engine: Engine,
    inputs: NDArray[np.uint8],
    embeddings: NDArray[np.float32],
    remarks: Sequence[Remarks] | None = None,
    *,
    located: bool,
) -> list[str]:
    """The verdict of a gate on each image.

    Args:
        gate: a gate with limits.
        engine: the variant whose embeddings it judges.
        inputs: ``[N, H, W, 1] uint8``.
        embeddings: ``[N, C]`` of the inputs.
        remarks: what speaks against each image and what makes it suspicious; nothing if None.
        located: whether a lung locator has looked at them.
    """

    def embed(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return engine.run(image)["embedding"]

    return [
        gate.judge(
            objections,
            doubts,
            image[np.newaxis],
            embedding[np.newaxis],
            embed,
            has_lungs=located and NO_LUNGS not in objections,
        ).verdict
        for image, embedding, (objections, doubts) in zip(
            inputs, embeddings, remarks or [((), ())] * len(inputs)
        )
    ]


def _by_category(
    gate: Gate, engine: Engine, things: OutOfDistributionImages, *, located: bool
) -> dict[str, dict[str, int]]:
    embeddings = engine_outputs(engine, things.inputs)["embedding"]
    remarks = [(objections, ()) for objections in things.objections]
    found = verdicts(gate, engine, things.inputs, embeddings, remarks, located=located)
    return {
        category: _counts([v for v, c in zip(found, things.categories) if c == category])
        for category in sorted(set(things.categories))
    }


def _counts(found: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(found).items()))
