"""Which training images calibrate an INT8 model."""

import hashlib

import pandas as pd

from cxr_edge_convert.limits import MIN_CALIBRATION_IMAGES
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.dataset.sampling import spread_over_patients


def choose_calibration_images(table: pd.DataFrame, *, count: int, seed: int) -> pd.DataFrame:
    """Draw calibration images from the training split: both classes alike, patients spread.

    Each class gives half. Within a class the images are drawn patient by patient, a second image
    of a patient only when every patient has given one. The classes are interleaved.

    Args:
        table: the run's images, with ``split``, ``label``, ``patient`` and ``path``.
        count: how many to draw; if there are fewer, all that the smaller class allows.
        seed: of the draw.

    Returns:
        The chosen rows, in the order they are used.

    Raises:
        InvalidRequest: fewer than the minimum asked for or available, or one class only.
    """
    if count < MIN_CALIBRATION_IMAGES:
        raise InvalidRequest(
            f"calibration needs at least {MIN_CALIBRATION_IMAGES} images, not {count}"
        )
    train = table[table["split"] == "train"]
    ordered = spread_over_patients(train, seed=seed)
    # Rank within the class: 0th of each class, 1st of each class, ...
    rank = ordered.groupby("label").cumcount()
    interleaved = ordered.assign(rank=rank).sort_values(["rank", "label"], kind="stable")
    smaller = interleaved["label"].value_counts().min() if not interleaved.empty else 0
    if interleaved["label"].nunique() < 2 or 2 * smaller < MIN_CALIBRATION_IMAGES:
        raise InvalidRequest(
            f"calibration needs at least {MIN_CALIBRATION_IMAGES // 2} training images of each "
            "label; this run has too few"
        )
    chosen = interleaved[interleaved["rank"] < min(smaller, count // 2)]
    return chosen.drop(columns="rank").reset_index(drop=True)


def calibration_digest(chosen: pd.DataFrame) -> str:
    """SHA-256 over the MD5 of the images, order apart: which images set the ranges."""
    return hashlib.sha256("\n".join(sorted(chosen["md5"])).encode()).hexdigest()
