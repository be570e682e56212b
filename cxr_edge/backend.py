"""Load Keras and its backend without their chatter."""

import os

from cxr_edge_runtime.native_output import stderr_silenced


def load_quietly(backend: str | None = None) -> None:
    """Import Keras and let the backend look for devices, its log lines hidden.

    Args:
        backend: the one that is needed, whatever the user's environment says.

    Raises:
        ModuleNotFoundError: Keras or its backend is not installed.
    """
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # GPU memory as it is needed, not all at once: others may use the device. Only the environment
    # is read early enough, before the backend is imported.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with stderr_silenced():
        import keras

        keras.distribution.list_devices()
    # Its messages would mix with the results on standard output.
    keras.config.disable_interactive_logging()
