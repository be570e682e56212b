from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from clouds import draw_clouds
from cxr_edge_convert import conversion, verification
from cxr_edge_convert.conversion import Variant, make_variants
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import ONNX, TFLITE, Scheme, wanted_schemes
from cxr_edge_convert.verification import FloatBaseline
from cxr_edge_train.architectures.head import attach_head
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.recipe import Calibration
from cxr_edge_train.statistics.operating_point import OperatingPoint

LOOSE = Limits(1.0, 1.0, 1.0, 0.0)


def schemes(*quantizations: str, formats: tuple[str, ...] = (TFLITE,)) -> tuple[Scheme, ...]:
    return tuple(wanted_schemes(formats=formats, quantizations=quantizations, target="x86"))


@pytest.fixture(scope="module")
def source(tiny_source: Source) -> Source:
    return tiny_source


@pytest.fixture(scope="module")
def variants(source: Source) -> dict[str, Variant]:
    wanted = schemes("float16", "dynamic", "int8", formats=(TFLITE, ONNX))
    return {v.scheme.name: v for v in make_variants(source, ConversionSettings(wanted, LOOSE))}


def test_every_variant_is_made_and_verified(variants: dict[str, Variant]) -> None:
    assert list(variants) == [
        "float32", "float16", "dynamic", "int8", "onnx-float32", "onnx-int8-x86",
    ]  # fmt: skip
    for variant in variants.values():
        assert variant.verification.passed
        assert variant.logits.shape == (200,)
        assert variant.verification.mean_probability_shift < 0.05


def test_float32_of_both_formats_equals_keras(variants: dict[str, Variant]) -> None:
    for name in ("float32", "onnx-float32"):
        assert variants[name].verification.max_logit_difference < 1e-3
        assert variants[name].verification.agreement == 1.0


def test_int8_says_what_calibrated_it_and_how_stable_that_is(
    variants: dict[str, Variant], source: Source
) -> None:
    for name in ("int8", "onnx-int8-x86"):
        variant = variants[name]
        assert variant.calibration is not None
        assert (variant.calibration.count, variant.calibration.seed) == (300, 0)
        assert variant.calibration.method == (
            "min-max over 300 training images, biases corrected over 32 of them"
        )
        assert variant.stability is not None
        assert variant.stability.images == 300
        assert 0 < variant.stability.range_change < 1
        assert len(variant.tensor_errors) > 3
    assert variants["float32"].calibration is None
    assert variants["dynamic"].stability is None


def test_same_source_and_seed_give_the_same_bytes(
    source: Source, variants: dict[str, Variant]
) -> None:
    wanted = schemes("int8", formats=(TFLITE, ONNX))
    again = make_variants(source, ConversionSettings(wanted, LOOSE))
    for variant in again:
        assert variant.model == variants[variant.scheme.name].model
    [*_, other] = make_variants(source, ConversionSettings(schemes("int8"), LOOSE, seed=1))
    assert other.calibration != variants["int8"].calibration


def test_percentile_of_the_recipe_narrows_ranges(
    source: Source, variants: dict[str, Variant]
) -> None:
    method = Calibration("percentile", 99.0)
    [_, int8] = make_variants(source, ConversionSettings(schemes("int8"), LOOSE, method=method))
    assert int8.calibration is not None
    assert int8.calibration.method.startswith("percentile 99 over 300 training images, ")
    assert int8.model != variants["int8"].model
    [_, from_recipe] = make_variants(
        replace(source, calibration=method), ConversionSettings(schemes("int8"), LOOSE)
    )
    assert from_recipe.model == int8.model


def test_limits_are_applied(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MIN_POSITIVES", 10**6)
    [float32] = make_variants(source, ConversionSettings(schemes(), LOOSE))
    assert not float32.verification.passed


def test_refit_gives_each_variant_its_own_operating_point(source: Source) -> None:
    [float32] = make_variants(source, ConversionSettings(schemes(), LOOSE, refit_sensitivity=0.9))
    assert float32.refit is not None
    assert float32.refit.metrics.sensitivity.value >= 0.9
    # The verdict is at float's.
    assert float32.verification.metrics != float32.refit.metrics


def test_error_of_the_graph_is_not_blamed_on_quantization(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifted = replace(source.validation, logits=source.validation.logits + 0.01)
    float32, int8 = make_variants(
        replace(source, validation=shifted), ConversionSettings(schemes("int8"), LOOSE)
    )
    assert "the graph does not compute what Keras does" in float32.verification.failures[0]
    assert "made from float32, whose graph does not compute" in int8.verification.failures[0]


def test_calibration_may_come_from_a_folder(source: Source, tmp_path: Path) -> None:
    draw_clouds(tmp_path, 60)
    [_, int8] = make_variants(
        source, ConversionSettings(schemes("int8"), LOOSE, calibration_dir=tmp_path)
    )
    assert int8.calibration is not None
    assert int8.calibration.count == 60
    assert "images of a folder" in int8.calibration.method
    assert int8.stability is None


def with_an_outlier(source: Source) -> Source:
    """A network with one channel ten thousand times larger than the others, undone by the next."""
    keras.utils.set_random_seed(1)
    image = keras.Input((32, 32, 1), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    first = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="planted")
    second = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="undone")
    third = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="innocent")
    features = third(second(first(scaled)))
    model = keras.Model({"image": image}, attach_head(features, dropout=0.0))
    (kernel, bias), (next_kernel, next_bias) = first.get_weights(), second.get_weights()
    kernel[..., 0] *= 1e4
    next_kernel[:, :, 0] /= 1e4
    first.set_weights([kernel, bias])
    second.set_weights([next_kernel, next_bias])
    table = source.validation.table
    logits = predict_logits(model, source.validation_pixels).astype(np.float64)
    threshold = float(np.median(1 / (1 + np.exp(-logits))))
    reference = FloatBaseline.of(
        table, logits, OperatingPoint(1.0, threshold, "a rule", "validation")
    )
    return replace(source, model=model, validation=reference)


@pytest.mark.parametrize("format", [TFLITE, ONNX])
def test_accuracy_control_finds_a_planted_outlier(source: Source, format: str) -> None:
    planted = with_an_outlier(source)
    limits = Limits(1.0, 1.0, 1.0, min_agreement=0.97)
    settings = ConversionSettings(schemes("int8", formats=(format,)), limits, accuracy_control=True)
    _, int8, mixed = make_variants(planted, settings)
    assert not int8.verification.passed
    assert mixed.verification.passed, mixed.verification.failures
    assert mixed.scheme.name == f"{int8.scheme.name}-mixed"
    assert mixed.mixed_precision is not None
    [*blocks] = mixed.mixed_precision.blocks_in_float
    assert "planted" in blocks[0][0]
    assert not any("innocent" in name for block in blocks for name in block)
    if format == TFLITE:  # in ONNX the nodes of a small model weigh more than its weights
        assert len(mixed.model) > len(int8.model)
    assert mixed.calibration == int8.calibration


def test_control_is_not_needed_where_int8_passes(source: Source) -> None:
    settings = ConversionSettings(schemes("int8"), LOOSE, accuracy_control=True)
    assert [v.scheme.name for v in make_variants(source, settings)] == ["float32", "int8"]


def test_control_is_not_tried_where_float32_falls_short(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "control_accuracy", None)  # calling it would fail
    monkeypatch.setattr(verification, "MIN_POSITIVES", 10**6)
    settings = ConversionSettings(schemes("int8"), LOOSE, accuracy_control=True)
    variants = make_variants(source, settings)
    assert [v.scheme.name for v in variants] == ["float32", "int8"]
    assert not any(v.verification.passed for v in variants)


def test_control_has_nothing_to_keep_in_a_network_that_is_all_head(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MIN_POSITIVES", 10**6)
    image = keras.Input((32, 32, 1), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    logit = keras.layers.Dense(1, name="logit")(keras.layers.Flatten()(scaled))
    model = keras.Model({"image": image}, {"logit": logit})
    logits = predict_logits(model, source.validation_pixels).astype(np.float64)
    reference = FloatBaseline.of(
        source.validation.table, logits, OperatingPoint(1.0, 0.5, "a rule", "validation")
    )
    settings = ConversionSettings(schemes("int8"), LOOSE, accuracy_control=True)
    short = make_variants(replace(source, model=model, validation=reference), settings)
    assert [v.scheme.name for v in short] == ["float32", "int8"]


def test_operating_point_fitted_anew_must_keep_the_limits(source: Source) -> None:
    limits = Limits(0.01, 1.0, 1.0, 0.0)
    [float32] = make_variants(source, ConversionSettings(schemes(), limits, refit_sensitivity=0.5))
    assert float32.refit is not None
    lost = source.validation.metrics.sensitivity.value - float32.refit.metrics.sensitivity.value
    assert lost > 0.01
    [failure] = float32.verification.failures
    assert failure.startswith(f"refitted, recall fell by {lost:.3f}, limit 0.01: ")


def test_images_whose_patient_is_unknown_are_a_warning_of_every_variant(source: Source) -> None:
    unknown = replace(source, train=source.train.assign(patient=""))
    [float32] = make_variants(unknown, ConversionSettings(schemes(), LOOSE))
    [warning] = [words for words in float32.warnings if "patient" in words]
    of = len(source.train) + len(source.validation.table)
    assert warning.startswith(f"the patient of {len(source.train)} of {of} images is unknown")
