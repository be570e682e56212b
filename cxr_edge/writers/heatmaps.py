"""A picture of each film with its heat map, named so that none replaces another film's."""

import os
from functools import partial
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
# What a picture says of itself, the SHA-256 of its film's file, and where Pillow writes that: after
# signature and header.
_OF_FILM = "Film"
_CHUNK_AT = 33


class HeatmapWriter:
    """Writes pictures of films with their activation map over them, from any thread."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        """Write into a folder, made where absent.

        Other files may lie there. A picture replaces only an earlier one of the same film.

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
        self._film_of: dict[str, Path] = {}
        self._names: dict[Path, str] = {}

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
            target = self._folder / self._names[_absolute(path)]
            film = load_grey(path, hashed=True, least_side=LONGEST)
            assert film.sha256 is not None
            check_file(target, "a heat map of this image", ours=partial(_is_of, film.sha256))
            picture = draw_heatmap(
                film.pixels,
                prediction.activation_map,
                captions,
                positive_label=manifest.positive_label,
                box=prediction.box,
            )
            information = PngInfo()
            information.add_text(_OF_FILM, film.sha256)
            with replacing(target) as temporary:
                picture.save(temporary, compress_level=_COMPRESSION, pnginfo=information)
        except OSError as error:
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
        except CxrEdgeError as error:
            return str(error)
        return None

    def claim(self, path: Path) -> None:
        """Name the picture of an image: as its file, with its folders where that name is taken.

        Called in the order of the images, whatever the order in which workers finish them.
        """
        film = _absolute(path)
        if film in self._names:
            return
        *folders, name = film.parts[1:]
        while self._film_of.setdefault(name, film) != film:
            name = f"{folders.pop()}_{name}" if folders else f"_{name}"
        self._names[film] = name + HEATMAP_SUFFIX


def _is_of(sha256: str, picture: Path) -> bool:
    """Whether a file is a heat map of the film with this digest."""
    text = f"{_OF_FILM}\0{sha256}".encode()
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text
    with picture.open("rb") as file:
        return file.read(_CHUNK_AT + len(chunk))[_CHUNK_AT:] == chunk


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
