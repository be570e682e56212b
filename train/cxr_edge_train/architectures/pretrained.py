"""Networks of ``keras.applications`` as architectures, and errors about their weights."""

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from cxr_edge_runtime.errors import InvalidRequest, WeightsUnavailable
from cxr_edge_train.architectures.backbone import BACKBONE, BATCH_NORM_MOMENTUM, Architecture
from cxr_edge_train.recipe import Model


def from_keras(
    network: Callable[..., keras.Model],
    scaling: Callable[[keras.KerasTensor], keras.KerasTensor],
    *,
    has_width: bool,
) -> Architecture:
    """Make an architecture of a network of ``keras.applications``.

    Args:
        network: for example ``keras.applications.MobileNetV2``.
        scaling: maps grey 0–255 to the three channels that its weights were trained with, see
            :mod:`cxr_edge_train.architectures.input_layers`.
        has_width: whether the network takes ``alpha``.
    """

    def backbone(
        image: keras.KerasTensor, settings: Model, weights: str | None
    ) -> keras.KerasTensor:
        width = {"alpha": settings.alpha} if has_width else {}
        # Keras' name of a network is ours, with capitals.
        with loading_weights(network.__name__.lower(), weights):
            layers = network(
                input_shape=(settings.image_size, settings.image_size, 3),
                include_top=False,
                weights=weights,
                **width,
            )
        layers.name = BACKBONE
        for layer in layers.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, BATCH_NORM_MOMENTUM)
        return layers(scaling(image))

    return Architecture(backbone, has_width=has_width, pretrained=True)


@contextmanager
def loading_weights(architecture: str, weights: str | None) -> Iterator[None]:
    """Turn what Keras raises about weights into one line for the user.

    Args:
        architecture: name for the message.
        weights: ``imagenet``, a file, or None.

    Raises:
        InvalidRequest: the file is missing or does not fit.
        WeightsUnavailable: ``imagenet`` cannot be downloaded or loaded.
    """
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise InvalidRequest(f"weights {weights}: no such file; name a file, imagenet or none")
    try:
        with warnings.catch_warnings():
            # The weights of 224x224 fit every size, as convolutions do.
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
            yield
    except Exception as error:
        # Keras raises plain Exception, OSError, KeyError or ValueError here; all of them mean that
        # the weights, the one thing that comes from outside, cannot be used.
        if weights is None:
            raise
        if weights == "imagenet":
            raise WeightsUnavailable(_offline_message(architecture, str(error))) from error
        raise InvalidRequest(
            f"weights {weights}: the file does not fit {architecture} ({error})"
        ) from error


def _offline_message(architecture: str, error: str) -> str:
    # Keras names the address; the file lies under its last part in Keras' cache folder.
    address = re.search(r"https?://\S+/([\w.-]+\.h5)", error)
    if address is None:
        return f"the imagenet weights of {architecture} cannot be loaded ({error})"
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras"))
    return (
        f"the imagenet weights of {architecture} could not be downloaded; download {address[0]} "
        f"on a machine with internet access and put {address[1]} into {folder / 'models'} here or "
        "name its path as the weights, or start from random ones with none (weights)"
    )
