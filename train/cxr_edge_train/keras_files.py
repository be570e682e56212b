"""Reading ``.keras`` files, and other archives, that may be damaged."""

import zipfile
import zlib
from pathlib import Path

import keras

from cxr_edge_runtime.errors import RunError

# What Keras and NumPy raise for a cut or changed archive, by where the damage is.
DAMAGED = (ValueError, OSError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


def load_keras(file: Path, *, compiled: bool, advice: str) -> keras.Model:
    """Load a model.

    Args:
        file: the ``.keras`` file.
        compiled: with its optimizer and loss.
        advice: what the user can do when it is damaged, for the message.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return keras.models.load_model(file, compile=compiled)
    except DAMAGED as error:
        raise RunError(f"{file}: cannot be loaded ({error}); {advice}") from error
