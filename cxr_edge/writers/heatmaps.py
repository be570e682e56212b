"""A picture of each film with its heat map, named so that none replaces another film's."""

import os
from pathlib import Path

from cxr_edge.bundles.notice import notice_of
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.files import replacing
from cxr_edge_runtime.files.outputs import check_file, check_folder
from cxr_edge_runtime.images import HEATMAP_SUFFIX, load_grey

# Of zlib: a picture is written in a third of the time and is a tenth larger.
_COMPRESSION = 1
# What a picture says of itself, in the place where Pillow writes it: behind signature and header.
_SOFTWARE = ("Software", "cxr-edge")
_CHUNK = b"\x00\x00\x00\x11tEXt" + "\x00".join(_SOFTWARE).encode()
_CHUNK_AT = 33


class HeatmapWriter:
    """Writes pictures of films with their activation map over them, from any thread."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        """Write into a folder, made where absent.

        Other files may lie there. A picture replaces only one that this version wrote.

        Raises:
            InvalidRequest: the bundle gives no activation map, or the folder is a link or a file,
                or cannot be written.
        """
        if "cam" not in bundle.manifest.outputs:
            raise InvalidRequest(
                "heat maps cannot be drawn: the model of this bundle gives no activation map"
            )
        check_folder(folder, "a folder of heat maps", ours=lambda _: True)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._bundle = folder, bundle
        self._film_of: dict[Path, Path] = {}

    def write(self, path: Path, prediction: Prediction) -> str | None:
        """Write the picture of a film that has a prediction and whose name was claimed.

        Args:
            path: of the film's file, which is read again; it names the picture.
            prediction: of it; where the gate rejected the film, nothing is drawn.

        Returns:
            Why there is no picture; None where it was written or nothing was to be drawn.
        """
        if prediction.activation_map is None or prediction.probability is None:
            return None
        from PIL.PngImagePlugin import PngInfo

        from cxr_edge_runtime.images.heatmap import LONGEST, draw_heatmap

        manifest = self._bundle.manifest
        captions = (
            f"{prediction.label}, probability of {manifest.positive_label} "
            f"{prediction.probability:.3f}; input gate: {prediction.gate.verdict}",
            notice_of(self._bundle),
        )
        try:
            target = self._target(path)
            if (other := self._film_of.get(target)) != _absolute(path):
                raise InvalidRequest(f"its picture would replace that of {other}")
            check_file(target, "a heat map of this version of cxr-edge", ours=_is_heatmap)
            picture = draw_heatmap(
                load_grey(path, least_side=LONGEST).pixels,
                prediction.activation_map,
                captions,
                positive_label=manifest.positive_label,
                box=prediction.box,
            )
            information = PngInfo()
            information.add_text(*_SOFTWARE)
            with replacing(target) as temporary:
                picture.save(temporary, compress_level=_COMPRESSION, pnginfo=information)
        except OSError as error:
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
        except CxrEdgeError as error:
            return str(error)
        return None

    def claim(self, path: Path) -> None:
        """Reserve the name of an image's picture; the first image that claims a name has it.

        Called in the order of the images, whatever the order in which workers finish them.
        """
        self._film_of.setdefault(self._target(path), _absolute(path))

    def _target(self, path: Path) -> Path:
        """Below the folder of pictures as the film below the current folder, or below the root."""
        film, here = _absolute(path), Path.cwd()
        below = film.relative_to(here if film.is_relative_to(here) else film.anchor)
        return self._folder / below.with_name(below.name + HEATMAP_SUFFIX)


def _is_heatmap(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_CHUNK_AT + len(_CHUNK))[_CHUNK_AT:] == _CHUNK


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
