import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import keras
import numpy as np
import pytest

from cxr_edge_runtime.errors import InvalidRequest, WeightsUnavailable
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.architectures.backbone import BACKBONE
from cxr_edge_train.architectures.pretrained import from_keras
from cxr_edge_train.recipe import Model

SMALL = Model(image_size=64, alpha=0.35)


def test_batch_normalisation_follows_a_short_training() -> None:
    model = build("mobilenetv2", SMALL, weights=None)
    layers = model.get_layer(BACKBONE).layers
    momenta = {
        layer.momentum for layer in layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta == {0.99}


def test_missing_weights_file_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"weights nowhere\.h5: no such file"):
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


def test_error_beside_the_loading_of_weights_is_told_as_it_is(tmp_path: Path) -> None:
    def scaling(image: keras.KerasTensor) -> keras.KerasTensor:
        raise ValueError("a mistake in the scaling")

    def network(**_: object) -> keras.Model:
        return keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Conv2D(1, 3)])

    file = tmp_path / "good.weights.h5"
    file.touch()
    architecture = from_keras(network, scaling, has_width=True)
    with pytest.raises(ValueError, match="a mistake in the scaling"):
        architecture.backbone(keras.Input((64, 64, 1)), SMALL, str(file))


@pytest.mark.parametrize(
    "architecture", [name for name, known in ARCHITECTURES.items() if known.pretrained]
)
def test_offline_machine_is_told_which_file_to_put_where(
    architecture: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_internet(url: str, *_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    # Where Keras looks first and then downloads from; both are settled when Keras is imported.
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_internet)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(WeightsUnavailable) as caught:
        build(architecture, Model(image_size=64), weights="imagenet")
    message = str(caught.value)
    assert re.search(
        rf"and put {architecture[:4]}\w*[\w.]*no_?top\.h5 into \S+models here", message
    )
    assert "with none (weights)" in message


def test_weights_that_fail_otherwise_are_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full_disk(url: str, *_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", full_disk)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(WeightsUnavailable) as caught:
        build("mobilenetv2", Model(image_size=64), weights="imagenet")
    assert str(caught.value) == (
        "the imagenet weights of mobilenetv2 cannot be loaded ([Errno 28] No space left on device)"
    )
