"""What an architecture is, and which layers of its backbone are trained."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.recipe import Model

# Name of the layer around the network, which is frozen while the head is trained.
BACKBONE = "backbone"

# keras.applications has 0.99 or 0.999, right for a million ImageNet steps; over the one or two
# thousand steps of fine-tuning the running statistics would still be ImageNet's.
BATCH_NORM_MOMENTUM = 0.99

# (grey image [N, H, W, 1] 0–255, settings, weights: "imagenet", a file or None) -> last feature
# map [N, H/32, W/32, C], out of a layer of the name BACKBONE.
Backbone = Callable[[keras.KerasTensor, Model, str | None], keras.KerasTensor]


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that is known of an architecture.

    Attributes:
        backbone: from a grey image to the last feature map; the head is put on that.
        has_width: ``alpha`` makes it wider or narrower; else it must be 1.
        pretrained: its weights may begin elsewhere; else they are always random.
    """

    backbone: Backbone
    has_width: bool
    pretrained: bool


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
