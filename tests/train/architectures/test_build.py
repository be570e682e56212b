from pathlib import Path

import keras
import numpy as np
import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.architectures.input_layers import scaled_to_unit
from cxr_edge_train.architectures.pretrained import BACKBONE
from cxr_edge_train.recipe import Model

SMALL = Model(image_size=64, alpha=0.35)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_model_keeps_the_contract(architecture: str) -> None:
    model = build(architecture, SMALL, weights=None)
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1)).astype(np.float32)
    outputs = {name: np.asarray(value) for name, value in model({"image": image}).items()}
    assert set(outputs) == {"cam", "logit", "embedding"}
    assert outputs["cam"].shape == (2, 2, 2, 1)
    assert outputs["logit"].shape == (2, 1)
    assert outputs["embedding"].shape[0] == 2
    np.testing.assert_allclose(outputs["logit"][:, 0], outputs["cam"].mean((1, 2, 3)), atol=1e-5)
    assert model.get_layer(BACKBONE) is not None


def test_scaling_is_that_of_the_family() -> None:
    image = keras.Input((4, 4, 1))
    grey = np.linspace(0, 255, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    ours = np.asarray(keras.Model(image, scaled_to_unit(image))(grey))
    theirs = keras.applications.mobilenet_v2.preprocess_input(np.repeat(grey, 3, axis=-1))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(InvalidRequest, match=r"unknown architecture 'resnet'; known are mobilenet"):
        build("resnet", SMALL, weights=None)


def test_missing_weights_file_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"--weights nowhere\.h5: no such file"):
        build("mobilenetv2", SMALL, weights="nowhere.h5")


def test_weights_of_another_shape_do_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(file)
    with pytest.raises(InvalidRequest, match="does not fit mobilenetv2"):
        build("mobilenetv2", SMALL, weights=str(file))


def test_imagenet_weights_from_a_file(shared: Path) -> None:
    file = shared / "weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    random, pretrained = (build("mobilenetv2", SMALL, weights=w) for w in (None, str(file)))
    kernels = [
        model.get_layer(BACKBONE).layers[1].get_weights()[0] for model in (random, pretrained)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
