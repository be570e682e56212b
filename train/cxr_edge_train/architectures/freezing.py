"""Which layers of a model's backbone are trained."""

import keras

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures.backbone import BACKBONE


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
