"""What an architecture is."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from cxr_edge_train.recipe import Model

# Name of the layer around the network, which is frozen while the head is trained; see freezing.py.
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
