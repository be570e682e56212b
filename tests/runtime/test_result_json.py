from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import ImageNotFound
from cxr_edge_runtime.result_json import as_json, image_result
from locators import TWO_LUNGS, drawn_film, located_bundle


def test_json_of_a_result_has_the_documented_fields(
    golden_bundle: Path, make_image: Callable[..., Path]
) -> None:
    classifier = Classifier(Bundle.load(golden_bundle))
    prediction = classifier.classify(make_image())
    result = as_json(image_result("a.png", prediction, classifier.bundle))
    assert list(result) == [
        "schema_version", "file", "label", "probability", "logit", "threshold", "borderline",
        "prevalence", "gate", "box", "warnings", "timings_ms", "image_sha256", "bundle", "notice",
    ]  # fmt: skip
    assert result["gate"] == {"verdict": "not_checked", "reasons": (), "distance": None}
    assert result["box"] is None
    assert result["logit"] == pytest.approx(prediction.logit, abs=1e-6)
    assert result["borderline"] is None
    assert list(result["timings_ms"]) == ["decode", "preprocess", "invoke"]
    assert all(value > 0 for value in result["timings_ms"].values())
    assert result["bundle"]["sha256"] == classifier.bundle.digest
    assert result["notice"] == "Research use only. Not a medical device."


def test_json_says_what_the_model_looked_at_in_shares_of_the_film(tmp_path: Path) -> None:
    classifier = Classifier(Bundle.load(located_bundle(tmp_path / "tiny")))
    prediction = classifier.classify(drawn_film(*TWO_LUNGS, size=(512, 256)), force=True)
    box = as_json(image_result("a.png", prediction, classifier.bundle))["box"]
    assert list(box) == ["left", "top", "right", "bottom"]
    assert 0 < box["left"] < box["right"] < 0.5  # the lungs lie in its left half
    assert [str(share) for share in box.values()] == [f"{share:.6g}" for share in box.values()]


def test_json_of_an_error_names_kind_and_message(golden_bundle: Path) -> None:
    error = ImageNotFound("a.png: no such file")
    assert as_json(image_result("a.png", error, Bundle.load(golden_bundle))) == {
        "schema_version": 1,
        "file": "a.png",
        "error": {"kind": "ImageNotFound", "message": "a.png: no such file"},
    }
