"""The devices that fitting computes on: all that the backend sees, in 16 bits on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.recipe import Fit

# float16, since also GPUs older than bfloat16 have it; Keras scales the loss for it.
_MIXED = "mixed_float16"


def devices() -> list[str]:
    """List the backend's devices, such as ``gpu:0``; processors only if there is no accelerator."""
    if keras.backend.backend() == "torch":
        # Keras has no list of PyTorch's; it computes where it puts a tensor.
        device = keras.ops.zeros(()).device
        return [f"{'gpu' if device.type == 'cuda' else device.type}:{device.index or 0}"]
    return [str(device).lower() for device in keras.distribution.list_devices()]


def has_accelerator() -> bool:
    """Whether the backend has anything faster than processors."""
    return not devices()[0].startswith("cpu")


def policy(settings: Fit) -> str:
    """The Keras dtype policy: mixed precision if the recipe allows it and there is a GPU.

    On a processor, 16 bits were measured to be slower (22.6 against 28.6 images per second).
    """
    gains = devices()[0].startswith("gpu")
    return _MIXED if settings.precision == "mixed" and gains else "float32"


def description(settings: Fit) -> str:
    """Describe devices and precision for people, for example ``gpu:0, mixed_float16``."""
    used = devices() if _shares_batches() else devices()[:1]
    return f"{', '.join(used)}, {policy(settings)}"


@contextmanager
def computing(settings: Fit) -> Iterator[None]:
    """Set Keras' dtype policy and distribution while a model is built and fitted inside.

    Several devices share each batch through Keras' distribution API, which works on JAX; other
    backends use their first device. Policy and distribution are restored at the end.

    Raises:
        InvalidRequest: a batch cannot be shared evenly.
    """
    before = keras.config.dtype_policy(), keras.distribution.distribution()
    check_batch(settings.batch_size)
    if _shares_batches():
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    keras.config.set_dtype_policy(policy(settings))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.distribution.set_distribution(before[1])


def check_batch(images: int) -> None:
    """Check that the devices can share a batch evenly.

    Raises:
        InvalidRequest: the number of images is no multiple of the number of devices.
    """
    if _shares_batches() and images % len(devices()):
        raise InvalidRequest(
            f"a batch of {images} images cannot be divided among {len(devices())} devices; set "
            "batch_size in the recipe's [fit] to a multiple of their number and at most the number "
            "of training images"
        )


def compute_in_float32(model: keras.Model) -> None:
    """Make a model that was trained in mixed precision compute in float32, as its weights are.

    What is saved afterwards does not depend on the machine it was trained on.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            compute_in_float32(layer)
        layer.dtype_policy = "float32"
    model.dtype_policy = "float32"


def _shares_batches() -> bool:
    return keras.backend.backend() == "jax" and len(devices()) > 1
