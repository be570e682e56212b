from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import expit

from cxr_edge_convert.external_models import contract
from cxr_edge_convert.external_models.contract import contract_model
from cxr_edge_convert.external_models.graph import contract_outputs
from cxr_edge_runtime.errors import ConversionError, InvalidRequest
from cxr_edge_train.dataset.class_names import KERMANY
from scripts import ROOT
from tiny_model import tiny_model

layers = keras.layers
LABELS = ["NORMAL", "PNEUMONIA"]
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1)).astype(np.float32)


def saved(tmp_path: Path, *tail: keras.Layer, channels: int = 1, suffix: str = "keras") -> Path:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((32, 32, channels)), layers.Conv2D(8, 3, strides=4, activation="relu"), *tail]
    )
    file = tmp_path / f"own.{suffix}"
    model.save(file)
    return file


def probability(file: Path, images: np.ndarray) -> np.ndarray:
    """What the model itself says of the last label."""
    return np.asarray(keras.models.load_model(file, compile=False)(images))[:, -1]


def logits(model: keras.Model) -> np.ndarray:
    return np.asarray(model({"image": IMAGES})["logit"])[:, 0]


def pooled(units: int, activation: str | None) -> list[keras.Layer]:
    return [
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.5),
        layers.Dense(units, activation=activation),
    ]


@pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (2, "softmax")])
def test_logit_is_derived_and_has_a_map_and_an_embedding(
    tmp_path: Path, units: int, activation: str
) -> None:
    file = saved(tmp_path, *pooled(units, activation))
    model = contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")
    outputs = model({"image": IMAGES})
    assert {name: value.shape for name, value in outputs.items()} == {
        "cam": (5, 8, 8, 1), "logit": (5, 1), "embedding": (5, 8),
    }  # fmt: skip
    np.testing.assert_allclose(
        expit(logits(model)), probability(file, IMAGES), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        np.mean(outputs["cam"], axis=(1, 2)), outputs["logit"], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "tail",
    [
        [layers.Dense(1), layers.Activation("sigmoid")],
        [layers.Dense(2), layers.Softmax()],
    ],
)
def test_activation_may_be_a_layer_of_its_own(tmp_path: Path, tail: list[keras.Layer]) -> None:
    file = saved(tmp_path, layers.GlobalAveragePooling2D(), *tail)
    model = contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")
    np.testing.assert_allclose(
        expit(logits(model)), probability(file, IMAGES), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("tail", [pooled(1, "sigmoid"), pooled(2, None)])
def test_model_that_is_rewritten_wrongly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: list[keras.Layer]
) -> None:
    file = saved(tmp_path, *tail)

    def turned_round(*arguments: Any, **more: Any) -> Any:
        outputs = contract_outputs(*arguments, **more)
        return outputs | {"logit": keras.layers.Rescaling(-1.0, offset=1.0)(outputs["logit"])}

    monkeypatch.setattr(contract, "contract_outputs", turned_round)
    with pytest.raises(ConversionError, match="rewriting its outputs changed its probabilities"):
        contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")


def test_last_layer_without_activation_gives_logits(tmp_path: Path) -> None:
    file = saved(tmp_path, *pooled(1, None))
    model = contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")
    np.testing.assert_allclose(logits(model), probability(file, IMAGES), rtol=1e-4, atol=1e-4)


def test_two_logits_without_activation_are_shared_out_by_softmax(tmp_path: Path) -> None:
    file = saved(tmp_path, *pooled(2, None))
    model = contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")
    own = np.asarray(keras.models.load_model(file, compile=False)(IMAGES))
    np.testing.assert_allclose(logits(model), own[:, 1] - own[:, 0], rtol=1e-4, atol=1e-4)


def test_labels_in_the_other_order_turn_the_logit_round(tmp_path: Path) -> None:
    for units, activation in ((1, "sigmoid"), (2, "softmax")):
        file = saved(tmp_path, *pooled(units, activation))
        one, other = (
            logits(contract_model(file, labels=labels, names=KERMANY, scaling="0-255"))
            for labels in (LABELS, LABELS[::-1])
        )
        np.testing.assert_allclose(one, -other, rtol=1e-4)


def test_hidden_layer_leaves_no_map(tmp_path: Path) -> None:
    tail = [
        layers.Flatten(),
        layers.Dense(4, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
    file = saved(tmp_path, *tail)
    model = contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")
    assert set(model.output) == {"logit", "embedding"}
    np.testing.assert_allclose(
        expit(logits(model)), probability(file, IMAGES), rtol=1e-4, atol=1e-6
    )


def test_features_without_a_map_leave_the_logit_alone(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 1))
    parts = [layers.Flatten()(image), layers.GlobalAveragePooling2D()(image)]
    model = keras.Model(image, layers.Dense(1)(layers.Concatenate()(parts)))
    model.save(tmp_path / "own.keras")
    made = contract_model(tmp_path / "own.keras", labels=LABELS, names=KERMANY, scaling="0-255")
    assert set(made.output) == {"logit"}


@pytest.mark.parametrize(
    ("scaling", "scale"),
    [("0-255", lambda x: x), ("0-1", lambda x: x / 255), ("-1-1", lambda x: x / 127.5 - 1)],
)
def test_grey_is_scaled_and_tripled_as_in_training(
    tmp_path: Path, scaling: str, scale: object
) -> None:
    file = saved(tmp_path, *pooled(1, "sigmoid"), channels=3)
    model = contract_model(file, labels=LABELS, names=KERMANY, scaling=scaling)
    expected = probability(file, np.repeat(scale(IMAGES), 3, axis=-1))  # type: ignore[operator]
    np.testing.assert_allclose(expit(logits(model)), expected, rtol=1e-4, atol=1e-6)


def test_scaling_must_be_said_unless_a_layer_does_it(tmp_path: Path) -> None:
    file = saved(tmp_path, *pooled(1, "sigmoid"))
    with pytest.raises(InvalidRequest, match="state the scaling that it was trained"):
        contract_model(file, labels=LABELS, names=KERMANY, scaling=None)
    inner = keras.Sequential([keras.Input((32, 32, 1)), layers.Rescaling(1 / 255)])
    model = keras.Sequential([keras.Input((32, 32, 1)), inner, *pooled(1, "sigmoid")])
    model.save(tmp_path / "scales.keras")
    contract_model(tmp_path / "scales.keras", labels=LABELS, names=KERMANY, scaling=None)


def test_old_h5_files_and_nested_backbones_are_taken(tmp_path: Path) -> None:
    backbone = keras.Sequential([keras.Input((32, 32, 1)), layers.Conv2D(6, 3, padding="same")])
    model = keras.Sequential([keras.Input((32, 32, 1)), backbone, *pooled(1, "sigmoid")])
    file = tmp_path / "own.h5"
    model.save(file)
    made = contract_model(file, labels=LABELS, names=KERMANY, scaling="0-255")
    assert made.output["cam"].shape == (None, 32, 32, 1)
    np.testing.assert_allclose(
        expit(logits(made)), np.asarray(model(IMAGES))[:, 0], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    "labels", [["NORMAL"], ["a", "b"], ["NORMAL", "NORMAL"], "NORMAL,PNEUMONIA", [1, 2], []]
)
def test_labels_must_be_ours(tmp_path: Path, labels: Any) -> None:
    (tmp_path / "x.keras").touch()
    with pytest.raises(InvalidRequest, match=r"the labels must be (two names|NORMAL and PNEUM)"):
        contract_model(tmp_path / "x.keras", labels=labels, names=KERMANY, scaling="0-1")


def test_unknown_scaling_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.keras").touch()
    with pytest.raises(
        InvalidRequest, match="unknown scaling '0-2'; choose one of 0-255, 0-1, -1-1"
    ):
        contract_model(tmp_path / "x.keras", labels=LABELS, names=KERMANY, scaling="0-2")


def test_file_of_another_kind_is_named_before_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "clean_metadata.csv").write_text("path")
    with pytest.raises(InvalidRequest, match=r"csv: is not a Keras model; its name must end in"):
        contract_model(tmp_path / "clean_metadata.csv", labels=LABELS, names=KERMANY, scaling="0-1")


def test_file_that_cannot_be_loaded_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"x\.keras: no such file"):
        contract_model(tmp_path / "x.keras", labels=LABELS, names=KERMANY, scaling="0-1")
    (tmp_path / "x.keras").write_bytes(b"PK nonsense")
    with pytest.raises(InvalidRequest, match=r"^.*x\.keras: Keras .* cannot load it .*$"):
        contract_model(tmp_path / "x.keras", labels=LABELS, names=KERMANY, scaling="0-1")


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (pooled(3, "softmax"), r"ends in layer 'dense\w*' \(Dense\)"),
        (pooled(1, "relu"), "of one unit with sigmoid, or of two units with softmax"),
        (pooled(1, "softmax"), "of one unit with sigmoid"),
        (pooled(2, "sigmoid"), "of two units with softmax"),
        ([*pooled(1, "sigmoid"), layers.Activation("sigmoid")], "of one unit with sigmoid"),
        ([layers.GlobalAveragePooling2D()], r"\(GlobalAveragePooling2D\); a classifier must end"),
    ],
)
def test_what_is_no_classifier_is_named(
    tmp_path: Path, tail: list[keras.Layer], message: str
) -> None:
    file = saved(tmp_path, *tail)
    with pytest.raises(ConversionError, match=message):
        contract_model(file, labels=LABELS, names=KERMANY, scaling="0-1")


def test_several_outputs_are_refused(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 1))
    features = layers.GlobalAveragePooling2D()(image)
    keras.Model(image, [layers.Dense(1)(features)] * 2).save(tmp_path / "own.keras")
    with pytest.raises(ConversionError, match=r"own\.keras: has 2 outputs, not one"):
        contract_model(tmp_path / "own.keras", labels=LABELS, names=KERMANY, scaling="0-1")


@pytest.mark.parametrize("shape", [(None, None, 3), (32, 32, 4), (32,)])
def test_input_that_is_no_grey_or_colour_image_is_named(
    tmp_path: Path, shape: tuple[int | None, ...]
) -> None:
    image = keras.Input(shape)
    features = layers.GlobalAveragePooling2D()(image) if len(shape) == 3 else image
    keras.Model(image, layers.Dense(1)(features)).save(tmp_path / "own.keras")
    with pytest.raises(ConversionError, match="it must be one image of fixed size"):
        contract_model(tmp_path / "own.keras", labels=LABELS, names=KERMANY, scaling="0-1")


def test_several_inputs_are_named(tmp_path: Path) -> None:
    one, other = keras.Input((32, 32, 1)), keras.Input((3,))
    features = layers.Concatenate()([layers.GlobalAveragePooling2D()(one), other])
    keras.Model([one, other], layers.Dense(1)(features)).save(tmp_path / "own.keras")
    with pytest.raises(ConversionError, match=r"its input is \(None, 32, 32, 1\), \(None, 3\); it"):
        contract_model(tmp_path / "own.keras", labels=LABELS, names=KERMANY, scaling="0-1")


def test_damaged_h5_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"nonsense")
    with pytest.raises(InvalidRequest, match=r"^.*x\.h5: Keras .* cannot load it .*$"):
        contract_model(tmp_path / "x.h5", labels=LABELS, names=KERMANY, scaling="0-1")


def test_code_in_a_model_is_not_run(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 1))
    features = layers.GlobalAveragePooling2D()(layers.Lambda(lambda x: x * 2)(image))
    keras.Model(image, layers.Dense(1)(features)).save(tmp_path / "own.keras")
    # Keras itself advises to pass safe_mode=False.
    with pytest.raises(InvalidRequest, match=r"cannot load it \(it contains Python code, which"):
        contract_model(tmp_path / "own.keras", labels=LABELS, names=KERMANY, scaling="0-1")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A model that keeps the contract, as cxr-edge train makes it."""
    tiny_model().save(tmp_path / "tiny.keras")
    return tmp_path / "tiny.keras"


def test_model_that_keeps_the_contract_is_taken_as_it_is(own: Path) -> None:
    images = {"image": IMAGES}
    before = keras.models.load_model(own, compile=False)(images)
    after = contract_model(own, labels=LABELS, names=KERMANY, scaling=None)(images)
    assert set(after) == {"cam", "logit", "embedding"}
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


def test_shipped_float_models_keep_the_contract() -> None:
    file = ROOT / "models" / "float" / "tiny.keras"
    made = contract_model(file, labels=LABELS, names=KERMANY, scaling=None)
    films = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 1)).astype(np.float32)
    expected = keras.models.load_model(file, compile=False)({"image": films})["logit"]
    np.testing.assert_array_equal(made({"image": films})["logit"], expected)


def test_model_that_keeps_the_contract_has_its_labels_and_its_scaling(own: Path) -> None:
    with pytest.raises(InvalidRequest, match="its labels must be NORMAL,PNEUMONIA"):
        contract_model(own, labels=LABELS[::-1], names=KERMANY, scaling=None)
    with pytest.raises(InvalidRequest, match="which scales grey values itself; state no scaling"):
        contract_model(own, labels=LABELS, names=KERMANY, scaling="0-1")


def test_outputs_of_other_names_do_not_keep_the_contract(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 1), name="image")
    features = layers.GlobalAveragePooling2D()(image)
    outputs = {"logit": layers.Dense(1)(features), "age": layers.Dense(1)(features)}
    keras.Model({"image": image}, outputs).save(tmp_path / "own.keras")
    with pytest.raises(ConversionError, match=r"own\.keras: has 2 outputs, not one"):
        contract_model(tmp_path / "own.keras", labels=LABELS, names=KERMANY, scaling="0-1")
