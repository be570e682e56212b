"""How long each stage of a classification takes on this device, and films per second."""

import contextlib
import io
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.inference_timing import peak_memory_mb
from cxr_edge_runtime.errors import CxrEdgeError

# A film as a hospital exports it: the median size of the data set's originals.
_FILM = (1654, 1357)
_LEAST, _ENOUGH_S = 10, 5.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """The throughput with several films at once.

    Attributes:
        workers: number of films at once, each with an engine of one thread.
        films: number of films that were classified.
        films_per_second: their rate, start-up excluded.
        peak_memory_mb: the peak of the whole process, in units of 2**20 bytes.
    """

    workers: int
    films: int
    films_per_second: float
    peak_memory_mb: float


def drawn_film() -> bytes:
    """Draw a grey JPEG with the size and about the detail of an original film, always the same.

    Returns:
        The bytes of the file.
    """
    random = np.random.default_rng(0)
    width, height = _FILM
    coarse = Image.fromarray(random.integers(0, 256, (12, 15), dtype=np.uint8))
    film = np.asarray(coarse.resize(_FILM, Image.Resampling.BICUBIC)).astype(np.int16)
    film += random.integers(-6, 7, (height, width), dtype=np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(film, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def measure_stages(
    bundle: Bundle, images: Sequence[Path], *, engine: str | None = None
) -> dict[str, Percentiles]:
    """Measure decoding, preprocessing and inference, one film at a time in one thread.

    Args:
        bundle: a loaded bundle.
        images: the films; they are classified in turn, repeatedly.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.

    Returns:
        The percentiles of each stage, and of ``all`` of them together.

    Raises:
        ImageError: an image cannot be used.
        EngineError: the model cannot be loaded or run.
    """
    classifier = Classifier(bundle, engine=engine)
    classifier.classify(images[0])  # not measured: the engine is still cold
    rows: list[dict[str, float]] = []
    begun = time.perf_counter()
    for image in itertools.cycle(images):
        timings = classifier.classify(image).timings_ms
        rows.append(timings | {"all": sum(timings.values())})
        if _enough(len(rows), len(images), begun):
            break
    return {name: _percentiles(np.array([row[name] for row in rows])) for name in rows[0]}


def measure_throughput(
    bundle: Bundle, images: Sequence[Path], *, workers: int, engine: str | None = None
) -> Throughput:
    """Measure how many films per second are classified, as with a folder of them.

    Args:
        bundle: a loaded bundle.
        images: the films; they are classified in turn, repeatedly.
        workers: number of films at once.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.

    Raises:
        ImageError: an image cannot be used.
        EngineError: the model cannot be loaded or run.
    """
    results = classify_all(
        ((image, None) for image in itertools.cycle(images)),
        lambda: Classifier(bundle, engine=engine),
        workers=workers,
    )
    films = 0
    with contextlib.closing(results):
        # Not measured: each worker loads its engine before its first film.
        for _ in range(workers):
            next(results)
        begun = time.perf_counter()
        for _, result in results:
            if isinstance(result, CxrEdgeError):
                raise result
            films += 1
            if _enough(films, len(images), begun):
                break
        seconds = time.perf_counter() - begun
    return Throughput(workers, films, round(films / seconds, 2), round(peak_memory_mb(), 1))


def _enough(done: int, images: int, begun: float) -> bool:
    return done >= max(_LEAST, images) and time.perf_counter() - begun >= _ENOUGH_S


def _percentiles(values: NDArray[np.float64]) -> Percentiles:
    return Percentiles(*(round(float(v), 3) for v in np.percentile(values, [50, 95, 99])))
