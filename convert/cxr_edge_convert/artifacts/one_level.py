"""How much an answer depends on one level of grey, measured on films.

Decoders of one file differ by a level here and there: those of lossy JPEG 2000 for x86-64 and
aarch64 do. So a film whose logit or distance is nearer to a limit than such a change is borderline.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import OneLevel
from cxr_edge_runtime.engines import Engine
from cxr_edge_runtime.gate import Gate
from cxr_edge_runtime.locator import Preprocessor

# More would take longer than they are worth: the largest of 300 changes is rarely exceeded.
_FILMS = 100
# Part of the definition, not an option.
_SEED = 0


def some_of(films: int) -> slice:
    """Which of so many films are changed."""
    return slice(None, None, -(-films // _FILMS))


def one_level(
    engine: Engine, gate: Gate | None, films: Iterable[NDArray[np.uint8]], prepare: Preprocessor
) -> OneLevel:
    """Measure the largest changes when greys change by one level.

    Args:
        engine: the variant.
        gate: its gate, where it has one.
        films: validation films, each ``[H, W] uint8``; see :func:`some_of`.
        prepare: from a film to model input. A lung locator may move the box.

    Raises:
        EngineError: the engine failed.
    """
    random = np.random.default_rng(_SEED)
    logits, distances = [], []
    for film in films:
        changes = (0, 1, -1, random.integers(-1, 2, film.shape))
        changed = [np.clip(film.astype(np.int16) + change, 0, 255) for change in changes]
        inputs = [prepare(pixels.astype(np.uint8)).model_input for pixels in changed]
        outputs = [engine.run(image) for image in inputs]
        logits.append([float(each["logit"][0, 0]) for each in outputs])
        if gate:
            distances.append([float(gate.distance(each["embedding"])[0]) for each in outputs])
    return OneLevel(
        _largest_change(logits), _largest_change(distances) if gate else None, len(logits)
    )


def _largest_change(values: list[list[float]]) -> float:
    """From the first of each row to the others."""
    rows = np.array(values)
    return float(np.abs(rows[:, 1:] - rows[:, :1]).max())
