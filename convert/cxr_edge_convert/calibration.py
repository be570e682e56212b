"""Which images calibrate an INT8 model."""

import hashlib
from pathlib import Path

import pandas as pd

from cxr_edge_convert.limits import MIN_CALIBRATION_IMAGES
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.images import SUFFIXES
from cxr_edge_train.dataset.reading import read_facts
from cxr_edge_train.dataset.sampling import spread_over_patients
from cxr_edge_train.dataset.scanning import LABELS

_FEW = f"calibration needs at least {MIN_CALIBRATION_IMAGES} images"


def draw_calibration_images(
    candidates: pd.DataFrame, *, count: int, seed: int
) -> list[pd.DataFrame]:
    """Draw the calibration images and, where there are enough, as many others to compare with.

    Each class gives half. Within a class the images are drawn patient by patient, a second image
    of a patient only when every patient has given one. The classes are interleaved. Images without
    a label are one class, drawn at random.

    Args:
        candidates: rows with ``label``, ``patient``, ``path`` and ``md5``; label empty in all rows
            where it is unknown.
        count: how many to draw; if there are fewer, all that the smaller class allows.
        seed: of the draw.

    Returns:
        One or two tables without a common image, in the order the images are used.

    Raises:
        InvalidRequest: fewer than the minimum asked for or available, or one class only.
    """
    if count < MIN_CALIBRATION_IMAGES:
        raise InvalidRequest(f"{_FEW}, not {count}")
    classes = sorted(set(candidates["label"])) or list(LABELS)
    if classes not in (sorted(LABELS), [""]):
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
    draws = [interleaved[interleaved["rank"] < size]]
    if available - size >= least:
        draws.append(interleaved[interleaved["rank"].between(size, 2 * size - 1)])
    return [draw.drop(columns="rank").reset_index(drop=True) for draw in draws]


def images_of_folder(folder: Path) -> pd.DataFrame:
    """The images below a folder as rows for :func:`draw_calibration_images`.

    Args:
        folder: images, or folders named ``NORMAL`` and ``PNEUMONIA`` with them.

    Returns:
        ``path`` (relative to the folder), ``md5``, ``label`` (empty unless all lie below the two
        folders) and ``patient`` (unknown, so empty); of exact duplicates the first.

    Raises:
        InvalidRequest: no such folder, or an image in it cannot be used.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder}: no such folder")
    paths = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    facts = read_facts([str(folder / path) for path in paths])
    for path, found in zip(paths, facts):
        if found.error:
            raise InvalidRequest(f"{folder / path}: {found.error}; take it out of the folder")
    labels = [next((part for part in path.parts if part in LABELS), "") for path in paths]
    table = pd.DataFrame(
        {
            "path": [path.as_posix() for path in paths],
            "md5": [found.md5 for found in facts],
            "label": labels if all(labels) else [""] * len(paths),
            "patient": "",
        }
    )
    return table.drop_duplicates("md5").reset_index(drop=True)


def calibration_digest(chosen: pd.DataFrame) -> str:
    """SHA-256 over the MD5 of the images, order apart: which images set the ranges."""
    return hashlib.sha256("\n".join(sorted(chosen["md5"])).encode()).hexdigest()
