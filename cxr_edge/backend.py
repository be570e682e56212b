"""Load Keras and its backend without their chatter."""

import os

from cxr_edge_runtime.errors import ExtraMissing, InvalidRequest
from cxr_edge_runtime.native_output import stderr_silenced

# What training was tried on, and the extra that brings it; Keras knows others that cannot train.
_EXTRAS = {"tensorflow": "train", "jax": "jax", "torch": "torch"}


def load_quietly(backend: str | None = None) -> None:
    """Import Keras and let the backend look for devices, its log lines hidden.

    Args:
        backend: the one that is needed, whatever the user's environment says.

    Raises:
        InvalidRequest: the environment or Keras' settings name a backend that does not train.
        ExtraMissing: the backend is not installed.
        ModuleNotFoundError: Keras is not installed.
    """
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # GPU memory as it is needed, not all at once: others may use the device. Only the environment
    # is read early enough, before the backend is imported.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _check_known(os.environ.get("KERAS_BACKEND", "tensorflow"))
    try:
        with stderr_silenced():
            import keras

            from cxr_edge_train.devices import devices

            _check_known(keras.backend.backend())
            devices()
            # Where TensorFlow is installed Keras seeds it too, and it chatters when it is imported.
            keras.utils.set_random_seed(0)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise ExtraMissing(
            f"KERAS_BACKEND={error.name}: {error.name} is not installed; "
            f"run: pip install 'cxr-edge[{_EXTRAS[error.name]}]'"
        ) from error
    # Its messages would mix with the results on standard output.
    keras.config.disable_interactive_logging()


def _check_known(backend: str) -> None:
    if backend not in _EXTRAS:
        raise InvalidRequest(
            f"KERAS_BACKEND={backend}: set it to tensorflow, jax or torch, which can train, or "
            "unset it"
        )
