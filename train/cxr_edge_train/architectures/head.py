"""The head that all architectures share: class activation map, logit and embedding."""

import keras


def attach_head(features: keras.KerasTensor, *, dropout: float) -> dict[str, keras.KerasTensor]:
    """Put the three outputs of the model contract on a feature map.

    The logit is the mean of the map (Zhou et al. 2016, "Learning Deep Features for Discriminative
    Localization"), so the map shows exactly what each region adds to the decision.

    Args:
        features: the last feature map ``[N, h, w, C]``.
        dropout: share of channels dropped during training, whole channels at a time.

    Returns:
        ``cam [N, h, w, 1]``, ``logit [N, 1]`` and ``embedding [N, C]``, all float32.
    """
    dropped = keras.layers.SpatialDropout2D(dropout, name="head_dropout")(features)
    cam = keras.layers.Conv2D(1, 1, dtype="float32", name="cam")(dropped)
    logit = keras.layers.GlobalAveragePooling2D(dtype="float32", name="logit")(cam)
    embedding = keras.layers.GlobalAveragePooling2D(dtype="float32", name="embedding")(features)
    return {"cam": cam, "logit": logit, "embedding": embedding}
