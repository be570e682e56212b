"""From an uploaded film to the JSON of ``classify --json``, and what the page shows beside it."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.monitoring.log_writer import PredictionRecorder
from cxr_edge.serving.uploads import Film
from cxr_edge_runtime.batch import classify_image
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.images import GreyImage
from cxr_edge_runtime.result_json import error_as_json, result_as_json

# Fast, and only a tenth larger than the best.
_COMPRESSION = 1


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What a request asks for.

    Attributes:
        force: a prediction also where the gate rejects the film.
        activation_map: the activation map with the prediction.
        picture: the film as PNG, for browsers that cannot show it.
    """

    force: bool = False
    activation_map: bool = False
    picture: bool = False


def film_response(
    classifier: Classifier,
    film: Film,
    options: RequestOptions,
    log: PredictionRecorder | None = None,
) -> dict[str, Any]:
    """One film's object in the response; an error of the film is such an object, too.

    Beside the fields of ``classify --json`` there may be ``activation_map``, with ``height``,
    ``width`` and ``values`` row by row, and ``picture``, a PNG in base64.

    Args:
        classifier: of the calling thread.
        film: as it was uploaded.
        options: what the request asks for.
        log: takes a row for each film that has a prediction.
    """
    bundle = classifier.bundle

    def finish(image: GreyImage, prediction: Prediction) -> dict[str, Any]:
        if log is not None:
            log.add(prediction, bundle)
        result = result_as_json(film.name, prediction, bundle)
        if options.activation_map:
            result["activation_map"] = _map_as_json(prediction)
        if options.picture:
            result["picture"] = _png(image)
        return result

    result = classify_image(
        classifier,
        film.content,
        finish,
        name=film.name,
        force=options.force,
        hashed=log is not None,
    )
    return error_as_json(film.name, result) if isinstance(result, CxrEdgeError) else result


def _map_as_json(prediction: Prediction) -> dict[str, Any] | None:
    # Of a rejected film a map would show what the label hides.
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
