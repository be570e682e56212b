"""A picture of each film with its heat map, named by the film so that none replaces another's."""

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
# Of the SHA-256 in the name of a picture.
_DIGITS = 8


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

    def write(self, path: Path, prediction: Prediction) -> str | None:
        """Write the picture of a film that has a prediction.

        It is called ``NAME.DIGITS.heatmap.png``, with the first digits of the SHA-256 of the film's
        file: films of one name in several folders have a picture each.

        Args:
            path: of the film's file, which is read again.
            prediction: of it, with its SHA-256; where the gate rejected the film, nothing is drawn.

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
            film = load_grey(path, hashed=True, least_side=LONGEST)
            sha256 = film.sha256
            if sha256 is None or sha256 != prediction.image_sha256:
                return f"{path}: changed while it was classified"
            target = self._folder / f"{path.name}.{sha256[:_DIGITS]}{HEATMAP_SUFFIX}"
            check_file(target, "a heat map of this image", ours=partial(_is_of, sha256))
            picture = draw_heatmap(
                film.pixels,
                prediction.activation_map,
                captions,
                positive_label=manifest.positive_label,
                box=prediction.box,
            )
            information = PngInfo()
            information.add_text(_OF_FILM, sha256)
            with replacing(target) as temporary:
                picture.save(temporary, compress_level=_COMPRESSION, pnginfo=information)
        except OSError as error:
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
        except CxrEdgeError as error:
            return str(error)
        return None


def _is_of(sha256: str, picture: Path) -> bool:
    """Whether a file is a heat map of the film with this digest."""
    text = f"{_OF_FILM}\0{sha256}".encode()
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text
    with picture.open("rb") as file:
        return file.read(_CHUNK_AT + len(chunk))[_CHUNK_AT:] == chunk
