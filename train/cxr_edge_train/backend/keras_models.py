"""Keras models: loading files that may be damaged, and predicting in batches."""

import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import RunError

PREDICT_BATCH = 64
# What Keras and NumPy raise for a cut or changed archive, by where the damage is.
DAMAGED = (ValueError, OSError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


def load_keras(file: Path, *, compiled: bool, advice: str) -> keras.Model:
    """Load a model.

    Args:
        file: the ``.keras`` file.
        compiled: whether its optimizer and its loss are loaded as well.
        advice: what the user can do if the file is damaged, for the message.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return keras.models.load_model(file, compile=compiled)
    except DAMAGED as error:
        raise RunError(f"{file}: cannot be loaded ({why_not_loaded(error)}); {advice}") from error


def why_not_loaded(error: Exception) -> str:
    """Why Keras does not load a file, in one line.

    Keras advises to load what it refuses without its safe mode, which would run code of the file.
    """
    said = str(error).strip() or repr(error)
    if "unsafe" in said or "safe_mode" in said:
        return "it contains Python code, which is not run"
    return said.splitlines()[0]


def predict_logits(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute logits ``[N] float32`` of ``pixels [N, H, W, 1] uint8`` in batches."""
    return predict_output(model, pixels, "logit")[:, 0]


def predict_output(model: keras.Model, pixels: NDArray[np.uint8], name: str) -> NDArray[np.float32]:
    """Compute one output ``[N, ...] float32`` of ``pixels [N, H, W, 1] uint8`` in batches."""
    values = [
        np.asarray(
            model.predict_on_batch(
                {"image": pixels[start : start + PREDICT_BATCH].astype(np.float32)}
            )[name]
        )
        for start in range(0, len(pixels), PREDICT_BATCH)
    ]
    return np.concatenate(values).astype(np.float32)
