import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier, sigmoid
from cxr_edge_runtime.errors import EngineError, InvalidRequest
from cxr_edge_runtime.images import load_grey
from synthetic import noisy_gradient


@pytest.fixture
def classifier(golden_bundle: Path) -> Classifier:
    return Classifier(Bundle.load(golden_bundle))


@pytest.mark.parametrize("bundle", [None, "tiny", 3, ["tiny"]])
def test_what_is_no_loaded_bundle_is_refused(bundle: object) -> None:
    with pytest.raises(InvalidRequest, match=r"load one with Bundle\.load"):
        Classifier(bundle)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", 65])
def test_threads_that_cannot_be_are_refused(golden_bundle: Path, threads: object) -> None:
    with pytest.raises(InvalidRequest, match="threads must be a whole number from 1 to 64"):
        Classifier(Bundle.load(golden_bundle), threads=threads)


def test_probability_is_the_scaled_sigmoid_of_the_logit(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    prediction = classifier.classify(make_image())
    expected = 1 / (1 + math.exp(-prediction.logit / 1.5))
    assert prediction.probability == pytest.approx(expected)
    assert prediction.threshold == 0.4


def test_label_follows_the_threshold(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    image = make_image()
    probability = classifier.classify(image).probability
    manifest = classifier.bundle.manifest
    for threshold, label in (
        (probability, "PNEUMONIA"),
        (math.nextafter(probability, 1), "NORMAL"),
    ):
        moved = replace(manifest, threshold=replace(manifest.threshold, value=threshold))
        classifier.bundle = replace(classifier.bundle, manifest=moved)
        assert classifier.classify(image).label == label


def test_file_and_its_pixels_give_the_same(
    classifier: Classifier, make_image: Callable[..., Path]
) -> None:
    path = make_image(size=(130, 90))
    assert classifier.classify(path).logit == classifier.classify(load_grey(path).pixels).logit


def test_golden_logits_stay_within_a_few_steps(classifier: Classifier) -> None:
    # INT8 kernels differ between processors by a few steps, so equality cannot be asked for.
    inputs = [noisy_gradient((32, 32), seed)[np.newaxis, :, :, np.newaxis] for seed in (100, 101)]
    logits = [float(classifier.engine.run(image)["logit"][0, 0]) for image in inputs]
    assert logits == pytest.approx([-0.1278, -0.1267], abs=0.01)


@pytest.mark.parametrize("output", ["logit", "embedding"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_answer(
    classifier: Classifier, make_image: Callable[..., Path], output: str, value: float
) -> None:
    class Broken:
        name = "broken"

        def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
            outputs = {"logit": np.zeros((1, 1), np.float32), "embedding": np.ones((1, 4))}
            return outputs | {output: np.array([[value]], np.float32)}

    classifier.engine = Broken()
    with pytest.raises(EngineError, match=f"no number for the {output}"):
        classifier.classify(make_image())


@given(st.floats(-1e6, 1e6))
def test_sigmoid_stays_between_0_and_1_and_is_symmetric(value: float) -> None:
    assert 0 <= sigmoid(value) <= 1
    assert sigmoid(value) + sigmoid(-value) == pytest.approx(1)
