"""Preprocessed pixels on disk: every image is decoded once and then read through a memory map."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import LOCATOR_VERSION
from cxr_edge_runtime.errors import DatasetError, ImageNotFound
from cxr_edge_runtime.files import remove_temporaries, replacing
from cxr_edge_runtime.images import GreyImage, load_grey, read_bytes
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_train.progress import ProgressFactory, no_progress

# A process that still decodes has written to its file more recently.
_ABANDONED_S = 3600.0


def read_unchanged(path: Path, md5: str, *, least_side: int | None = None) -> NDArray[np.uint8]:
    """The grey pixels ``[H, W] uint8`` of :func:`read_film`."""
    return read_film(path, md5, least_side=least_side).pixels


def read_film(path: Path, md5: str, *, least_side: int | None = None) -> GreyImage:
    """Read a file that must still be the one that was cleaned.

    Args:
        path: the image file.
        md5: its MD5 in the metadata, hexadecimal.
        least_side: see :func:`cxr_edge_runtime.images.load_grey`.

    Returns:
        The decoded film.

    Raises:
        DatasetError: the file is missing, or its MD5 has changed.
        ImageError: the file cannot be read or decoded.
    """
    try:
        content = read_bytes(path)
    except ImageNotFound as error:
        raise DatasetError(
            f"{error}; if the images were moved, give the folder that the paths in the metadata "
            "are relative to (root)"
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DatasetError(f"{path}: changed since it was cleaned; run cxr-edge clean again")
    return load_grey(content, name=str(path), least_side=least_side)


def load_pixels(
    rows: pd.DataFrame,
    prepare: Preprocessor,
    *,
    root: Path,
    cache_dir: Path,
    progress: ProgressFactory = no_progress,
) -> NDArray[np.uint8]:
    """Load the preprocessed pixels of each row, from the cache or from the images.

    The cache file is named by a digest of the images' MD5, the spec and the lung locator, so
    changed images, another size or another locator never get the pixels of an earlier call.

    Args:
        rows: table with columns ``path`` and ``md5``.
        prepare: from a film to model input, as on a device.
        root: folder that ``path`` is relative to.
        cache_dir: folder of the cache files.
        progress: makes the progress bar over the images.

    Returns:
        A read-only memory map ``[N, H, W, 1] uint8`` in the order of the rows.

    Raises:
        DatasetError: an image is missing or changed since it was cleaned.
        ImageError: an image cannot be read or decoded.
        EngineError: the lung locator's engine failed.
    """
    key = json.dumps([asdict(prepare.spec), rows["md5"].tolist(), *_locator_key(prepare)])
    file = cache_dir / "pixels" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    shape = (len(rows), prepare.spec.height, prepare.spec.width, 1)
    cached = _cached(file, shape)
    if cached is None:
        remove_temporaries(file.parent, older_than_s=_ABANDONED_S)
        # Written, not mapped: on a full disk writing to a map ends the process with a signal.
        with replacing(file) as temporary, temporary.open("wb") as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            paths = progress("reading images")(rows["path"], len(rows))
            for path, md5 in zip(paths, rows["md5"]):
                film = read_unchanged(root / path, md5, least_side=prepare.least_side)
                stream.write(prepare(film).model_input.tobytes())
        cached = np.load(file, mmap_mode="r")
    return cached


def _locator_key(prepare: Preprocessor) -> list[str | float]:
    locator = prepare.locator
    if locator is None:
        return []
    assert locator.sha256, "a locator without a file has no name to keep its pixels by"
    return [locator.sha256, locator.margin, LOCATOR_VERSION, str(prepare.least_side)]


def _cached(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Open the cached pixels; None where there are none or the file is damaged."""
    try:
        pixels: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None
