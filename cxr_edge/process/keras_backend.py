"""Load Keras and its backend without their chatter."""

import logging
import os

from cxr_edge_runtime.errors import ExtraMissing, InvalidRequest
from cxr_edge_runtime.native_output import stderr_silenced

# What training was tried on; Keras knows others, which cannot train. But for the first, which every
# extra that needs Keras brings, each is an extra of its name.
_BACKENDS = ("tensorflow", "jax", "torch")


def load_quietly(backend: str | None = None) -> None:
    """Import Keras and let the backend look for devices, its log lines hidden.

    Args:
        backend: the one that is needed, whatever the user's environment says.

    Raises:
        InvalidRequest: the environment or Keras' settings name a backend that does not train.
        ExtraMissing: another backend than TensorFlow is not installed.
        ModuleNotFoundError: Keras or TensorFlow is not installed.
    """
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # GPU memory as it is needed, not all at once: others may use the device. Only the environment
    # is read early enough, before the backend is imported.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    _check_known(os.environ.get("KERAS_BACKEND") or "tensorflow")
    try:
        with stderr_silenced():
            import keras

            from cxr_edge_train.backend.devices import devices

            _check_known(keras.backend.backend())
            devices()
    except ModuleNotFoundError as error:
        if error.name not in _BACKENDS[1:]:
            raise
        raise ExtraMissing.of(
            error.name, needed_by="the chosen Keras backend", extra=error.name
        ) from error
    # TensorFlow advises on functions that are traced often; Keras' messages would mix with results.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    keras.config.disable_interactive_logging()


def _check_known(backend: str) -> None:
    if backend not in _BACKENDS:
        raise InvalidRequest(
            f"Keras' backend {backend} cannot train; set KERAS_BACKEND to tensorflow, jax or torch"
        )
