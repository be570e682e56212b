"""Films that tell whether a device gives the answers that were given here.

They lie on the line through the means of the two labels' training films, beyond them too: a mean of
many films shows no patient, and along that line the probability goes from one side of the threshold
to the other. One more is a negative and one is upside down, which a gate must reject and name. A
lung locator gets them in an uneven black frame, so that its box is far from the whole film.
"""

import importlib.metadata
import io
import platform
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cxr_edge_runtime.device.selftest import (
    MAX_MOVE,
    Answer,
    GoldenFilms,
    box_move,
    verdict_on_golden,
)
from cxr_edge_runtime.engines import Engine
from cxr_edge_runtime.gate import Gate, objections, unchecked
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.decoding_limits import MIN_SIDE
from cxr_edge_runtime.locator import PreparedFilm, Preprocessor
from cxr_edge_train.statistics.operating_point import OperatingPoint

# Steps along the line: 0 is the mean of normal films, 1 that of pneumonia.
_STEPS = np.linspace(-4, 5, 361)
# Near the threshold, yet beyond what another engine was measured to move a probability by.
NEAR = 0.06
# On each side of the threshold.
_FILMS = 5
# So far from a limit of the gate, as a share of it, a verdict is the same on every device.
CLEAR = 0.06
# Black rows above and below, and columns left and right, as shares of the film's height and width.
_FRAME = ((0.05, 0.1), (0.2, 0.08))
# Sides of a file's film, as a multiple of those of the means.
_LARGER = 1.5
_JPEG_QUALITY = 90
# A mean is blurred, and a gate knows sharp films; so an unsharp mask has this radius, as a share of
# the longer side, and this strength in percent.
_RADIUS, _SHARPER = 1 / 60, 400


def label_means(films: NDArray[np.uint8], positives: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean film ``[2, H, W]`` of each label, the negative one first.

    Args:
        films: ``[N, H, W, 1] uint8``.
        positives: ``[N]``, 1 for films of the positive label and 0 for others.
    """
    return np.stack([films[positives == which, :, :, 0].mean(axis=0) for which in (0, 1)])


def golden_films(
    engine: Engine,
    means: NDArray[np.float64],
    operating_point: OperatingPoint,
    gate: Gate | None,
    labels: tuple[str, str],
    prepare: Preprocessor,
) -> GoldenFilms:
    """Choose films and record the answers to them.

    Args:
        engine: the variant.
        means: ``[2, H, W]`` from :func:`label_means`; of whole films where there is a lung
            locator.
        operating_point: the temperature, the bias and the threshold of the bundle.
        gate: the gate of the bundle, where it has one.
        labels: of the bundle, the negative one first.
        prepare: from a film to model input, as in the bundle.

    Returns:
        Five films on each side of the threshold, from the nearest that a healthy device cannot move
        across it to the farthest; there are fewer where the line does not go so far. And a sharp
        one, which a gate accepts where it accepts any mean, its negative, and it upside down.
    """

    def answered(picture: NDArray[np.float64], *, sharp: bool = False) -> _Golden:
        file = _as_jpeg(picture, sharp=sharp)
        return _golden(file, engine, operating_point, gate, labels, prepare)

    normal, pneumonia = _framed(means) if prepare.locator else means
    pictures = [normal + step * (pneumonia - normal) for step in _STEPS]
    films = [answered(picture) for picture in pictures]
    threshold = operating_point.threshold
    steady = np.array([film.is_steady for film in films])
    away = np.array([film.answer.probability for film in films]) - threshold
    chosen: set[int] = set()
    for side, room in ((-away, threshold), (away, 1 - threshold)):
        # Towards 0 and 1 a probability moves by less.
        safe = np.flatnonzero((side >= min(NEAR, room / 2)) & steady)
        if len(safe):
            ranked = safe[np.argsort(side[safe], kind="stable")]
            places = np.linspace(0, len(ranked) - 1, _FILMS).round().astype(int)
            chosen.update(ranked[places].tolist())
    sharpest = min(pictures[::4], key=lambda picture: answered(picture, sharp=True).distance)
    others = (
        answered(picture, sharp=True)
        for picture in (sharpest, 255 - sharpest, sharpest[::-1, ::-1])
    )
    kept = [films[number] for number in sorted(chosen)]
    kept += [film for film in others if film.answer.verdict and film.is_steady]
    version = importlib.metadata.version(engine.name)
    return GoldenFilms(
        tuple(film.file for film in kept),
        tuple(film.answer for film in kept),
        f"{engine.name} {version}, {engine.kernels}, {platform.machine()}",
    )


def _framed(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Films ``[2, H, W]`` in a frame; a mean of whole films has lungs nearly as large as itself."""
    sides = zip(means.shape[1:], _FRAME)
    return np.pad(means, ((0, 0), *((round(a * side), round(b * side)) for side, (a, b) in sides)))


class _Golden(NamedTuple):
    file: bytes
    answer: Answer
    distance: float
    is_steady: bool


def _as_jpeg(picture: NDArray[np.float64], *, sharp: bool) -> bytes:
    """A file whose film is larger than the model's input, so that it is scaled, too."""
    image = Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8))
    width, height = (max(round(_LARGER * side), MIN_SIDE) for side in image.size)
    larger = image.resize((width, height), Image.Resampling.BICUBIC)
    if sharp:
        larger = larger.filter(ImageFilter.UnsharpMask(_RADIUS * max(width, height), _SHARPER, 0))
    file = io.BytesIO()
    larger.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _golden(
    file: bytes,
    engine: Engine,
    point: OperatingPoint,
    gate: Gate | None,
    labels: tuple[str, str],
    prepare: Preprocessor,
) -> _Golden:
    """A film with its answer, without a verdict where that could be another on another device."""
    film = load_grey(file, least_side=prepare.least_side)
    prepared = prepare(film.pixels)
    is_steady = _is_steady(film.pixels, prepared, prepare)
    outputs = engine.run(prepared.model_input)
    [probability] = point.probabilities(outputs["logit"][0])
    label = labels[int(probability >= point.threshold)]
    answer = Answer(float(probability), label, "", box=prepared.box)
    if gate is None:
        verdict = verdict_on_golden(unchecked(prepared.objections, prepared.doubts))
        return _Golden(file, replace(answer, verdict=verdict), 0.0, is_steady)
    found = gate.judge(
        (*objections(film), *prepared.objections),
        prepared.doubts,
        prepared.model_input,
        outputs["embedding"],
        embed=lambda other: engine.run(other)["embedding"],
        has_lungs=prepared.box is not None,
    )
    assert found.distance is not None
    limits = (gate.limits.suspicious, gate.limits.rejected)
    is_clear = all(abs(found.distance / limit - 1) >= CLEAR for limit in limits)
    # Whatever the distance, these reject.
    is_clear = is_clear or bool(found.orientation or prepared.objections)
    is_clear = is_clear and found.from_turning >= CLEAR * limits[1]
    answer = replace(
        answer,
        verdict=verdict_on_golden(found) if is_clear else "",
        orientation=found.orientation,
    )
    return _Golden(file, answer, found.distance, is_steady)


def _is_steady(film: NDArray[np.uint8], prepared: PreparedFilm, prepare: Preprocessor) -> bool:
    """Whether a lung locator finds the same in a film with each grey one level up or down.

    What it says turns at a number of cells, so another engine could turn it as well.
    """
    if prepare.locator is None:
        return True
    changed = (np.clip(film.astype(np.int16) + change, 0, 255) for change in (1, -1))
    others = [prepare(pixels.astype(np.uint8)) for pixels in changed]
    said = (prepared.objections, prepared.doubts)
    return all(
        (other.objections, other.doubts) == said
        and box_move(other.box, prepared.box) <= MAX_MOVE / 2
        for other in others
    )
