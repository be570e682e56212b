"""What backbones from ``keras.applications`` share: names, freezing, and weights that fail."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from cxr_edge_runtime.errors import InvalidRequest

# The layer that is frozen while the head is trained.
BACKBONE = "backbone"

# keras.applications has 0.99 or 0.999, right for a million ImageNet steps; over the one or two
# thousand steps of fine-tuning the running statistics would still be ImageNet's.
BATCH_NORM_MOMENTUM = 0.99


def adopt(backbone: keras.Model) -> keras.Model:
    """Name a backbone and let its batch normalisation follow a short training."""
    backbone.name = BACKBONE
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, BATCH_NORM_MOMENTUM)
    return backbone


def freeze(model: keras.Model, *, before: str | None) -> None:
    """Choose what is trained: the head always, of the backbone what comes at or after a block.

    Args:
        model: from :func:`cxr_edge_train.architectures.build`.
        before: layers before the first one whose name begins so are frozen; the empty string
            frees all of the backbone, None freezes all of it.

    Raises:
        InvalidRequest: no layer's name begins so.
    """
    backbone = model.get_layer(BACKBONE)
    names = [layer.name for layer in backbone.layers]
    if before is None:
        first = len(names)
    else:
        found = [index for index, name in enumerate(names) if name.startswith(before)]
        if not found:
            raise InvalidRequest(
                f"fine_tune_from {before!r}: {model.name} has no layer of that name; "
                f"it has, for example, {', '.join(names[:: max(1, len(names) // 12)])}"
            )
        first = found[0]
    backbone.trainable = before is not None
    # Each by itself as well: Keras leaves a layer that was frozen alone as it is.
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first


@contextmanager
def loading_weights(architecture: str, weights: str | None) -> Iterator[None]:
    """Turn what Keras raises about weights into one line for the user.

    Args:
        architecture: name for the message.
        weights: ``imagenet``, a file, or None.

    Raises:
        InvalidRequest: the file is missing or does not fit, or the download failed.
    """
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise InvalidRequest(f"--weights {weights}: no such file; or say imagenet or none")
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
            raise InvalidRequest(_offline_message(architecture, str(error))) from error
        raise InvalidRequest(
            f"--weights {weights}: does not fit {architecture} ({error})"
        ) from error


def _offline_message(architecture: str, error: str) -> str:
    # Keras names the address; the file lies under its last part in Keras' cache folder.
    address = re.search(r"https?://\S+/([\w.-]+\.h5)", error)
    if address is None:
        return f"--weights imagenet: {architecture}'s weights cannot be had ({error})"
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras"))
    return (
        f"--weights imagenet: the download for {architecture} failed; on a machine with internet "
        f"fetch {address[0]}, then put {address[1]} into {folder / 'models'} here, or give its "
        "path to --weights; or train from random weights with --weights none"
    )
