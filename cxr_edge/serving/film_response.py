"""From an uploaded film to classify's JSON, and what the page shows beside it."""

import base64
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.monitoring.log_writer import PredictionRecorder
from cxr_edge.serving.uploads import Film
from cxr_edge_runtime.batch import Result, classify_image
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.errors import CxrEdgeError, ImageError
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.result_json import ImageResult, as_json, image_result
from cxr_edge_runtime.typed_json import Bounds, Schema

# Fast, and only a tenth larger than the best.
_COMPRESSION = 1
# The longer side of a picture, pixels: enough for a screen. Of noise the largest takes 6 MB; of 30
# million pixels it took 40, and four times that until it was sent.
LONGEST = 2048


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What a request asks for.

    Attributes:
        force: a prediction also where the gate rejects the film.
        activation_map: the activation map with the prediction.
        picture: the film as PNG, 2048 pixels at most, for browsers that cannot show it.
        dicom: the answer to a DICOM film as DICOM, in place of JSON.
    """

    force: bool = False
    activation_map: bool = False
    picture: bool = False
    dicom: bool = False


@dataclass(frozen=True, slots=True)
class ActivationMap:
    """What each part of the box adds to the decision, compared with normal films, by rows.

    Of the film where the box is null.
    """

    height: Annotated[int, Bounds(minimum=1)]
    width: Annotated[int, Bounds(minimum=1)]
    values: tuple[float, ...]

    @classmethod
    def of(cls, prediction: Prediction) -> "ActivationMap | None":
        """That of a prediction; None for a rejected film, of which it would show the label."""
        if prediction.activation_map is None or prediction.probability is None:
            return None
        values: NDArray[np.float32] = prediction.activation_map
        height, width = values.shape
        return cls(height, width, tuple(round(float(value), 4) for value in values.ravel()))


class _Base64:
    """In ``Annotated``: text that holds bytes."""

    def schema(self) -> Schema:
        return {"contentEncoding": "base64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmResult(ImageResult):
    """A film that was classified; map and picture are left out unless the request asks for them.

    Attributes:
        activation_map: the activation map; null where the gate rejected the film, or the model
            gives none.
        picture: the film as PNG, made smaller where its longer side has more than 2048 pixels.
    """

    activation_map: ActivationMap | None = None
    picture: Annotated[str, _Base64()] = ""


def film_response(
    classifier: Classifier,
    film: Film,
    options: RequestOptions,
    log: PredictionRecorder | None = None,
    count: Callable[[Result], None] | None = None,
) -> dict[str, Any]:
    """One film's object in the response: a :class:`FilmResult`, or the error of the film.

    Where the answer is to be DICOM, the object has the bytes of its files as ``dicom``.

    Args:
        classifier: of the calling thread.
        film: as it was uploaded.
        options: what the request asks for.
        log: takes a row for each film that has a prediction.
        count: takes what was found of each film.
    """
    bundle = classifier.bundle

    found = classify_image(
        classifier,
        film.content,
        name=film.name,
        force=options.force,
        mapped=options.activation_map or options.dicom,
    )
    picture, files = None, None
    if isinstance(found, Prediction):
        try:
            picture = _png(film) if options.picture else None
            files = _dicom(film, found, bundle) if options.dicom else None
        except ImageError as error:  # a busy device may be too slow for it now
            found = error
    if count is not None:
        count(found)
    result = as_json(image_result(film.name, found, bundle))
    if isinstance(found, CxrEdgeError):
        return result
    if log is not None:
        log.add(found, bundle)
    if options.activation_map:
        activation_map = ActivationMap.of(found)
        result["activation_map"] = activation_map and asdict(activation_map)
    if picture is not None:
        result["picture"] = picture
    if files is not None:
        result["dicom"] = files
    return result


def _dicom(film: Film, prediction: Prediction, bundle: Bundle) -> list[bytes]:
    from cxr_edge.dicom_out.answer import dicom_answer  # an extra's, and slow to import

    return list(dicom_answer(film.content, prediction, bundle, name=film.name).values())


def _png(film: Film) -> str:
    buffer = io.BytesIO()
    picture = Image.fromarray(load_grey(film.content, name=film.name, least_side=LONGEST).pixels)
    picture.thumbnail((LONGEST, LONGEST))  # makes nothing larger
    picture.save(buffer, "PNG", compress_level=_COMPRESSION)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
