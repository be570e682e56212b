import numpy as np
import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.architectures.backbone import BACKBONE
from cxr_edge_train.recipe import Model

SMALL = Model(image_size=64, alpha=0.35)
WITH_WIDTH = [name for name, known in ARCHITECTURES.items() if known.has_width]


def test_five_are_here_and_some_have_a_width_or_pretrained_weights() -> None:
    found = {name: (known.has_width, known.pretrained) for name, known in ARCHITECTURES.items()}
    assert found == {
        "pure_cnn": (True, False),
        "mobilenet": (True, True),
        "mobilenetv2": (True, True),
        "vgg16": (False, True),
        "densenet121": (False, True),
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_model_keeps_the_contract(architecture: str) -> None:
    alpha = 0.35 if architecture in WITH_WIDTH else 1.0
    model = build(architecture, Model(image_size=64, alpha=alpha), weights=None)
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1)).astype(np.float32)
    outputs = {name: np.asarray(value) for name, value in model({"image": image}).items()}
    assert set(outputs) == {"cam", "logit", "embedding"}
    assert outputs["cam"].shape == (2, 2, 2, 1)
    assert outputs["logit"].shape == (2, 1)
    assert outputs["embedding"].shape[0] == 2
    np.testing.assert_allclose(outputs["logit"][:, 0], outputs["cam"].mean((1, 2, 3)), atol=1e-5)
    assert model.get_layer(BACKBONE) is not None


@pytest.mark.parametrize("architecture", WITH_WIDTH)
def test_width_multiplier_makes_it_narrower(architecture: str) -> None:
    wide = build(architecture, Model(image_size=64), weights=None)
    narrow = build(architecture, Model(image_size=64, alpha=0.35), weights=None)
    assert narrow.count_params() < wide.count_params() / 2


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - set(WITH_WIDTH)))
def test_width_that_does_not_exist_is_refused(architecture: str) -> None:
    with pytest.raises(InvalidRequest, match="has no width multiplier; leave alpha at 1"):
        build(architecture, SMALL, weights=None)


def test_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(
        InvalidRequest, match=r"unknown architecture 'resnet'; choose one of pure_cnn, mob"
    ):
        build("resnet", SMALL, weights=None)


def test_pure_cnn_has_no_pretrained_weights() -> None:
    with pytest.raises(InvalidRequest, match="trained from scratch: its weights must be none"):
        build("pure_cnn", SMALL, weights="imagenet")
