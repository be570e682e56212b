import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import keras
import numpy as np
import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.architectures.pretrained import BACKBONE
from cxr_edge_train.recipe import Model

SMALL = Model(image_size=64, alpha=0.35)
SIZED = {"vgg16": Model(image_size=64), "densenet121": Model(image_size=64)}
WIDTHS = "mobilenet", "mobilenetv2", "pure_cnn"


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_model_keeps_the_contract(architecture: str) -> None:
    model = build(architecture, SIZED.get(architecture, SMALL), weights=None)
    image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1)).astype(np.float32)
    outputs = {name: np.asarray(value) for name, value in model({"image": image}).items()}
    assert set(outputs) == {"cam", "logit", "embedding"}
    assert outputs["cam"].shape == (2, 2, 2, 1)
    assert outputs["logit"].shape == (2, 1)
    assert outputs["embedding"].shape[0] == 2
    np.testing.assert_allclose(outputs["logit"][:, 0], outputs["cam"].mean((1, 2, 3)), atol=1e-5)
    assert model.get_layer(BACKBONE) is not None


def test_the_five_are_here() -> None:
    assert list(ARCHITECTURES) == ["pure_cnn", "mobilenet", "mobilenetv2", "vgg16", "densenet121"]


@pytest.mark.parametrize("architecture", WIDTHS)
def test_width_multiplier_makes_it_narrower(architecture: str) -> None:
    wide = build(architecture, Model(image_size=64), weights=None)
    narrow = build(architecture, Model(image_size=64, alpha=0.35), weights=None)
    assert narrow.count_params() < wide.count_params() / 2


@pytest.mark.parametrize("architecture", ["vgg16", "densenet121"])
def test_width_that_does_not_exist_is_refused(architecture: str) -> None:
    with pytest.raises(InvalidRequest, match="has no width multiplier; leave alpha at 1"):
        build(architecture, SMALL, weights=None)


def test_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(
        InvalidRequest, match=r"unknown architecture 'resnet'; known are pure_cnn, mob"
    ):
        build("resnet", SMALL, weights=None)


def test_missing_weights_file_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"--weights nowhere\.h5: no such file"):
        build("mobilenetv2", SMALL, weights="nowhere.h5")


def test_weights_of_another_shape_do_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(file)
    with pytest.raises(InvalidRequest, match="does not fit mobilenetv2"):
        build("mobilenetv2", SMALL, weights=str(file))


WEIGHTS = {
    "mobilenet": "mobilenet_7_5_224_tf_no_top.h5",
    "mobilenetv2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
}


@pytest.mark.parametrize(("architecture", "alpha"), [("mobilenet", 0.75), ("mobilenetv2", 0.35)])
def test_imagenet_weights_from_a_file(shared: Path, architecture: str, alpha: float) -> None:
    file = shared / "weights" / WEIGHTS[architecture]
    settings = Model(image_size=64, alpha=alpha)
    random, pretrained = (build(architecture, settings, weights=w) for w in (None, str(file)))
    kernels = [
        model.get_layer(BACKBONE).layers[1].get_weights()[0] for model in (random, pretrained)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1


@pytest.mark.parametrize("architecture", ["mobilenetv2", "vgg16", "densenet121"])
def test_weights_of_another_architecture_do_not_fit(shared: Path, architecture: str) -> None:
    file = shared / "weights" / WEIGHTS["mobilenet"]
    with pytest.raises(InvalidRequest, match=f"does not fit {architecture}"):
        build(architecture, Model(image_size=64), weights=str(file))


def test_pure_cnn_has_no_pretrained_weights() -> None:
    with pytest.raises(InvalidRequest, match="trained from scratch: give --weights none"):
        build("pure_cnn", SMALL, weights="imagenet")


@pytest.mark.parametrize("architecture", ["mobilenet", "mobilenetv2", "vgg16", "densenet121"])
def test_offline_machine_is_told_which_file_to_put_where(
    architecture: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_internet(url: str, *_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    # Where Keras looks first and then downloads from; both are settled when Keras is imported.
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_internet)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(InvalidRequest) as caught:
        build(architecture, Model(image_size=64), weights="imagenet")
    message = str(caught.value)
    assert re.search(
        rf"then put {architecture[:4]}\w*[\w.]*no_?top\.h5 into \S+models here", message
    )
    assert "--weights none" in message
