"""Load Keras and its backend without their chatter."""

import os

from cxr_edge_runtime.native_output import stderr_silenced


def load_quietly() -> None:
    """Import Keras and let the backend look for devices, its log lines hidden.

    Raises:
        ModuleNotFoundError: Keras or its backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_silenced():
        import keras

        keras.distribution.list_devices()
