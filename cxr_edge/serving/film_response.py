"""From an uploaded film to the JSON of ``classify --json``, and what the page shows beside it."""

import base64
import io
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.serving.prediction_recorder import PredictionRecorder
from cxr_edge.serving.uploads import Film
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import EngineError, ImageError
from cxr_edge_runtime.images import GreyImage, decode_grey
from cxr_edge_runtime.images.decoding_limits import alone
from cxr_edge_runtime.result_json import error_as_json, result_as_json

# Fast, and only a tenth larger than the best.
_COMPRESSION = 1


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What a request asks for.

    Attributes:
        force: an answer also where the gate rejects the film.
        activation_map: the map with the answer.
        picture: the film as PNG, for browsers that cannot show it.
    """

    force: bool = False
    activation_map: bool = False
    picture: bool = False


def answer(
    classifier: Classifier, film: Film, wish: RequestOptions, log: PredictionRecorder | None = None
) -> dict[str, Any]:
    """One film's object; an error of the film is its answer.

    Beside the fields of ``classify --json`` there may be ``activation_map``, with ``height``,
    ``width`` and ``values`` row by row, and ``picture``, a PNG in base64.
    """
    started = time.perf_counter()
    try:
        with alone(n_bytes=len(film.content)):
            image = decode_grey(film.content, name=film.name, hashed=log is not None)
        decoded_ms = (time.perf_counter() - started) * 1000
        prediction = classifier.classify(image, force=wish.force)
    except (ImageError, EngineError) as error:
        return error_as_json(film.name, error)
    timings_ms = prediction.timings_ms | {"decode": decoded_ms}
    prediction = replace(prediction, timings_ms=timings_ms)
    if log is not None:
        log.add(prediction, classifier.bundle)
    result = result_as_json(film.name, prediction, classifier.bundle)
    if wish.activation_map:
        result["activation_map"] = _map_as_json(prediction)
    if wish.picture:
        result["picture"] = _png(image)
    return result


def _map_as_json(prediction: Prediction) -> dict[str, Any] | None:
    # Without an answer a map would be one.
    if prediction.activation_map is None or prediction.probability is None:
        return None
    values: NDArray[np.float32] = prediction.activation_map
    height, width = values.shape
    return {
        "height": height,
        "width": width,
        "values": [round(float(value), 4) for value in values.ravel()],
    }


def _png(image: GreyImage) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image.pixels).save(buffer, "PNG", compress_level=_COMPRESSION)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
