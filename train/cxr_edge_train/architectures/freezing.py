"""Freezing layers of a model's backbone."""

import keras

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures.backbone import BACKBONE


def freeze(model: keras.Model, *, before: str | None) -> None:
    """Freeze the backbone up to a block; the rest of it and the head are trained.

    Args:
        model: from :func:`cxr_edge_train.architectures.build`.
        before: layers before the first one whose name starts with this text are frozen; the empty
            text freezes none of them, None freezes all.

    Raises:
        InvalidRequest: no layer's name starts with this text.
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
