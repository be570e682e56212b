import keras
import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures import build
from cxr_edge_train.architectures.backbone import BACKBONE
from cxr_edge_train.architectures.freezing import freeze
from cxr_edge_train.recipe import Model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build("mobilenetv2", Model(image_size=32, alpha=0.35), weights=None)


def trainable(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.get_layer(BACKBONE).layers if layer.trainable]


def test_frozen_backbone_leaves_the_head(model: keras.Model) -> None:
    freeze(model, before=None)
    assert [variable.path for variable in model.trainable_variables] == ["cam/kernel", "cam/bias"]


def test_everything_can_be_trained(model: keras.Model) -> None:
    freeze(model, before="")
    assert len(trainable(model)) == len(model.get_layer(BACKBONE).layers)


def test_training_begins_at_the_chosen_block(model: keras.Model) -> None:
    freeze(model, before="block_13")
    free = trainable(model)
    assert free[0] == "block_13_expand"
    assert "block_12_expand" not in free
    assert free[-1] == "out_relu"
    freeze(model, before="")  # and it can be freed again
    assert len(trainable(model)) == len(model.get_layer(BACKBONE).layers)


def test_unknown_block_shows_what_there_is(model: keras.Model) -> None:
    with pytest.raises(InvalidRequest, match=r"'layer9': mobilenetv2 has no layer .*block_13"):
        freeze(model, before="layer9")
