"""Loading Keras and its backend, which takes seconds, with a line that says so."""

import os
from importlib.util import find_spec

from cxr_edge.console.terminal import say
from cxr_edge.process.keras_backend import load_quietly

_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def load_keras(backend: str | None = None) -> None:
    """Say on standard error what is loaded, and load it; see :func:`load_quietly`.

    Args:
        backend: the one that is needed, whatever the user's environment says.
    """
    chosen = backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if find_spec("keras") is not None:  # else nothing is waited for
        say(f"loading {_NAMES.get(chosen, 'Keras')}")
    load_quietly(backend)
