"""Which images calibrate an INT8 model; none of them may verify it too."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_convert.limits import MIN_CALIBRATION_IMAGES
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.images import SUFFIXES
from cxr_edge_train.cleaning.checks.near_duplicates import MIN_CORRELATION
from cxr_edge_train.cleaning.reading import THUMBNAIL_SIDE, read_facts
from cxr_edge_train.dataset.class_names import ClassNames, class_names
from cxr_edge_train.dataset.sampling import spread_over_patients


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Calibration images in the order in which they are used.

    Attributes:
        digest: which images they are, see :func:`calibration_digest`.
        pixels: ``[N, H, W, 1] uint8``.
    """

    digest: str
    pixels: NDArray[np.uint8]


def calibration_sets(
    source: Source, folder: Path | None, *, count: int, seed: int
) -> list[CalibrationSet]:
    """Choose the calibration set and, where there are enough images, a second one to compare with.

    Args:
        source: the float model. Its training images calibrate; its validation images must not.
        folder: a folder with images that calibrate instead of the training images.
        count: how many images to choose for each set.
        seed: the seed of the choice.

    Raises:
        InvalidRequest: there are too few images, or some that show validation images.
        DatasetError: an image changed since it was cleaned.
    """
    candidates, images = source.train, source.images
    if folder is not None:
        candidates, images = images_of_folder(folder, source.names), replace(images, root=folder)
        known = set(source.validation.table["md5"])
        twice = candidates.loc[candidates["md5"].isin(known), "path"]
        if len(twice):
            raise _leaking(folder, twice)
    tables = choose_calibration_images(candidates, count=count, seed=seed)
    sets = [CalibrationSet(calibration_digest(table), images.pixels(table)) for table in tables]
    if folder is not None:
        for table, chosen in zip(tables, sets):
            copies = copies_of(chosen.pixels, source.validation_pixels)
            if len(copies):
                raise _leaking(folder, table["path"].iloc[copies])
    return sets


def choose_calibration_images(
    candidates: pd.DataFrame, *, count: int, seed: int
) -> list[pd.DataFrame]:
    """Choose calibration images and, where there are enough, as many others to compare with.

    Each class gives half. Within a class the images are chosen patient by patient, a second image
    of a patient only when every patient has given one. The classes are interleaved. Images without
    a label are one class, from which they are chosen at random.

    Args:
        candidates: rows with ``label``, ``patient``, ``path`` and ``md5``; the label is empty in
            all rows where it is unknown.
        count: how many images to choose, at least
            :data:`~cxr_edge_convert.limits.MIN_CALIBRATION_IMAGES`; if there are
            fewer, all that the smaller class allows.
        seed: the seed of the choice.

    Returns:
        One or two tables without a common image, in the order the images are used.

    Raises:
        InvalidRequest: too few are available, or of one class only.
    """
    names = sorted(class_names(candidates))
    classes = sorted(set(candidates["label"])) or names
    if classes not in (names, [""]):
        raise InvalidRequest(
            f"calibration needs images of both labels; there are only {' and '.join(classes)}"
        )
    ordered = spread_over_patients(candidates, seed=seed)
    # Rank within the class: 0th of each class, 1st of each class, ...
    rank = ordered.groupby("label").cumcount()
    interleaved = ordered.assign(rank=rank).sort_values(["rank", "label"], kind="stable")
    available = int(interleaved["label"].value_counts().min()) if len(ordered) else 0
    least = MIN_CALIBRATION_IMAGES // len(classes)
    if available < least:
        of_each = " of each label" if len(classes) > 1 else ""
        raise InvalidRequest(f"calibration needs at least {least} images{of_each}, not {available}")
    size = min(available, count // len(classes))
    chosen = [interleaved[interleaved["rank"] < size]]
    left = min(size, available - size)
    if left >= least:
        chosen.append(interleaved[interleaved["rank"].between(size, size + left - 1)])
    return [rows.drop(columns="rank").reset_index(drop=True) for rows in chosen]


def images_of_folder(folder: Path, names: ClassNames) -> pd.DataFrame:
    """The images below a folder as rows for :func:`choose_calibration_images`.

    Args:
        folder: images, or folders with them that are named like the classes.
        names: the names of the classes.

    Returns:
        ``path`` (relative to the folder), ``md5``, ``label`` (of the folder it lies in, empty where
        no folder is called so) and ``patient`` (unknown, so empty); of exact duplicates the first.

    Raises:
        InvalidRequest: no such folder, no image in it, an image that cannot be used, or some have
            labels and others none.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder}: no such folder")
    paths = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise InvalidRequest(f"{folder}: contains no image to calibrate with")
    facts = read_facts([str(folder / path) for path in paths])
    for path, found in zip(paths, facts):
        if found.error:
            raise InvalidRequest(f"{folder / path}: {found.error}; remove it from the folder")
    labels = [_label_of(names, folder.resolve().name, *path.parts[:-1]) for path in paths]
    if any(labels) and not all(labels):
        raise InvalidRequest(
            f"{folder / paths[labels.index('')]}: lies in neither of the folders "
            f"{' and '.join(names)}, but others do; give all images a label or none"
        )
    table = pd.DataFrame(
        {
            "path": [path.as_posix() for path in paths],
            "md5": [found.md5 for found in facts],
            "label": labels,
            "patient": "",
            **names.column,
        }
    )
    return table.drop_duplicates("md5").reset_index(drop=True)


def copies_of(pixels: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Which of ``pixels [N, H, W, 1]`` show a film of ``others [M, H, W, 1]``, perhaps re-encoded.

    Plain correlation of thumbnails, with the limit of
    :mod:`cxr_edge_train.cleaning.checks.near_duplicates`; a shifted copy is found more rarely than
    there.
    """
    correlations = _thumbnails(pixels) @ _thumbnails(others).T
    return np.flatnonzero((correlations >= MIN_CORRELATION).any(axis=1))


def _thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``[N, 1024]`` of mean 0 and length 1."""
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = np.stack(
        [
            np.asarray(Image.fromarray(image[:, :, 0]).resize(size, Image.Resampling.BOX))
            for image in pixels
        ]
    ).reshape(len(pixels), -1)
    centred = small - small.mean(axis=1, keepdims=True, dtype=np.float32)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: NDArray[np.float32] = centred / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


def _label_of(names: ClassNames, *folders: str) -> str:
    """The label that the innermost folder of such a name gives."""
    labels = {name.casefold(): name for name in names}
    found = (labels.get(name.casefold(), "") for name in reversed(folders))
    return next(filter(None, found), "")


def calibration_digest(chosen: pd.DataFrame) -> str:
    """SHA-256 over the MD5 of the images, order apart: which images set the ranges."""
    return hashlib.sha256("\n".join(sorted(chosen["md5"])).encode()).hexdigest()


def _leaking(folder: Path, paths: pd.Series) -> InvalidRequest:
    return InvalidRequest(
        f"{folder}: {paths.iloc[0]} and {len(paths) - 1} more show validation images; "
        "calibration images must not be used for verification, so remove them"
    )
