"""The type of an architecture."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

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
    """An architecture.

    Attributes:
        backbone: maps a grey image to the last feature map, on which the head is put.
        has_width: whether ``alpha`` makes it wider or narrower; otherwise it must be 1.
        pretrained: whether it may start from given weights; otherwise it starts from random ones.
    """

    backbone: Backbone
    has_width: bool
    pretrained: bool
