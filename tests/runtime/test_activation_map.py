from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_edge_runtime.activation_map import activation_map
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import Threshold
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import BundleInvalid
from cxr_edge_runtime.probability import probability_of, threshold_logit
from synthetic import noisy_gradient

NORMAL = np.random.default_rng(0).normal(size=(5, 5))


@pytest.mark.parametrize("logit", [-30.0, -0.51, -0.49, 0.0, 12.5])
@pytest.mark.parametrize("normal", [None, NORMAL])
def test_mean_is_the_distance_of_the_logit_from_the_threshold(
    logit: float, normal: np.ndarray | None
) -> None:
    # Of an INT8 model, the mean of the map is the logit but for rounding.
    cam = np.random.default_rng(1).normal(logit + 0.1, 3, (5, 5))
    found = activation_map(cam, logit=logit, threshold_logit=-0.5, normal=normal)
    assert found.dtype == np.float32
    assert found.mean() == pytest.approx(logit + 0.5, abs=1e-5)


def test_what_every_film_shows_is_not_in_the_map() -> None:
    found = activation_map(NORMAL + 2, logit=3, threshold_logit=1, normal=NORMAL)
    np.testing.assert_allclose(found, 2, rtol=1e-6)


def test_logit_at_the_threshold_has_its_probability(golden_bundle: Path) -> None:
    manifest = Bundle.load(golden_bundle).manifest
    for bias, temperature in ((0.0, 1.0), (-1.7, 2.5)):
        scaled = replace(manifest, bias=bias, temperature=temperature)
        found = probability_of(threshold_logit(scaled), scaled)
        assert found == pytest.approx(manifest.threshold.value)
    for value in (0.0, 1.0, float(np.nextafter(1, 2))):
        sure = replace(manifest, threshold=Threshold(value, "rule", "validation"))
        assert np.isfinite(threshold_logit(sure))


def with_normal_map(bundle: Bundle, normal: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The same bundle with a reference that has this map."""
    some = np.array([0.5])
    one = PredictionDistribution.of(some, some, np.array([False]))
    content = VerifiedPredictions(one, one, normal.astype(np.float32)).to_bytes()
    monkeypatch.setattr(Bundle, "read", lambda _, name: {"reference.npz": content}[name])
    files = bundle.manifest.files | {"reference.npz": bundle.manifest.files["model.tflite"]}
    return replace(bundle, manifest=replace(bundle.manifest, files=files))


def test_classifier_takes_the_normal_map_of_its_bundle_off(
    golden_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = noisy_gradient((80, 64), seed=0)
    classifier = Classifier(Bundle.load(golden_bundle))
    plain = classifier.classify(film, force=True).activation_map
    assert plain is not None
    assert classifier.classify(film, force=True, mapped=False).activation_map is None
    normal = np.arange(plain.size).reshape(plain.shape)
    classifier.bundle = with_normal_map(classifier.bundle, normal, monkeypatch)
    del classifier._normal_map
    found = classifier.classify(film, force=True).activation_map
    np.testing.assert_allclose(found, plain - (normal - normal.mean()), atol=1e-4)


def test_normal_map_of_another_size_is_refused(
    golden_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier(Bundle.load(golden_bundle))
    classifier.bundle = with_normal_map(classifier.bundle, np.zeros((3, 7)), monkeypatch)
    with pytest.raises(BundleInvalid, match=r"reference\.npz: its map has shape \(3, 7\)"):
        classifier.classify(noisy_gradient((80, 64), seed=0), force=True)
