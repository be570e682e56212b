"""``--heatmap DIR``: a picture a film, named so that none replaces another film's."""

import os
from pathlib import Path

from cxr_edge.bundles.lookup import notice_of
from cxr_edge.console.terminal import say
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.files import replacing
from cxr_edge_runtime.images import HEATMAP_SUFFIX

# Of zlib: a picture is written in a third of the time and is a tenth larger.
_COMPRESSION = 1


class HeatmapWriter:
    """A picture of each film with its activation map over it."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        """Write into a folder, made where absent.

        Raises:
            InvalidRequest: the bundle gives no activation map, or the folder cannot be written.
        """
        if "cam" not in bundle.manifest.outputs:
            raise InvalidRequest("--heatmap: the model of this bundle gives no activation map")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidRequest(f"--heatmap {folder}: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InvalidRequest(f"--heatmap {folder}: no permission to write into it")
        self._folder, self._bundle = folder, bundle
        self._written: dict[Path, Path] = {}

    def write(self, image: Path, prediction: Prediction) -> bool:
        """Write the picture of a film that has an answer; False, and a line, if that failed."""
        if prediction.activation_map is None or prediction.probability is None:
            return True  # the gate rejected it
        from cxr_edge_runtime.heatmap import draw_heatmap
        from cxr_edge_runtime.images import read_grey

        manifest = self._bundle.manifest
        captions = (
            f"{prediction.label}, probability of {manifest.positive_label} "
            f"{prediction.probability:.3f}; input gate: {prediction.gate.verdict}",
            notice_of(self._bundle),
        )
        film = Path(os.path.abspath(image))  # noqa: PTH100  # resolve() would follow links
        target = self._folder / _place(film)
        try:
            if self._written.setdefault(target, film) != film:
                raise FileExistsError(
                    None, f"its picture would replace that of {self._written[target]}"
                )
            picture = draw_heatmap(
                read_grey(image).pixels,
                prediction.activation_map,
                captions,
                positive_label=manifest.positive_label,
            )
            with replacing(target) as temporary:
                picture.save(temporary, compress_level=_COMPRESSION)
        except (OSError, CxrEdgeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            say(f"cxr-edge: no heat map of {image}: {reason}")
            return False
        return True


def _place(film: Path) -> Path:
    """Below the folder of pictures as the film below the current folder, or below the root."""
    here = Path.cwd()
    below = film.relative_to(here if film.is_relative_to(here) else film.anchor)
    return below.with_name(below.name + HEATMAP_SUFFIX)
