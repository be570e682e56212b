import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.serving.film_response import LONGEST, RequestOptions, film_response
from cxr_edge.serving.uploads import Film
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import ImageTooSlow
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.result_json import as_json, image_result
from dicom_files import written
from locators import TWO_LUNGS, drawn_film, located_bundle
from serving import PHANTOM
from synthetic import encoded, noisy_gradient


@pytest.fixture
def classifier(shipped: Bundle) -> Classifier:
    return Classifier(shipped)


def film(path: Path = PHANTOM) -> Film:
    return Film(path.name, path.read_bytes())


def test_answer_is_that_of_classify(classifier: Classifier) -> None:
    found = film_response(classifier, film(), RequestOptions())
    prediction = classifier.classify(PHANTOM, hashed=True)
    expected = as_json(image_result(PHANTOM.name, prediction, classifier.bundle))
    assert found.pop("timings_ms").keys() == expected.pop("timings_ms").keys()
    assert found == expected


def test_film_that_cannot_be_used_is_an_error_of_its_own(classifier: Classifier) -> None:
    found = film_response(
        classifier, Film("a.txt", b"no film"), RequestOptions(activation_map=True)
    )
    assert found["error"]["kind"] == "UnreadableImage"
    assert found["error"]["message"].startswith("a.txt: ")


def test_map_is_that_of_the_model(classifier: Classifier) -> None:
    found = film_response(classifier, film(), RequestOptions(activation_map=True))["activation_map"]
    expected = classifier.classify(PHANTOM).activation_map
    assert expected is not None
    assert (found["height"], found["width"]) == expected.shape
    np.testing.assert_allclose(found["values"], expected.ravel(), atol=1e-4)


def test_rejected_film_has_no_answer_and_no_map(classifier: Classifier) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    rejected = Film("noise.png", buffer.getvalue())
    found = film_response(classifier, rejected, RequestOptions(activation_map=True))
    assert found["gate"]["verdict"] == "rejected"
    assert found["label"] is found["probability"] is found["activation_map"] is None
    forced = film_response(classifier, rejected, RequestOptions(force=True, activation_map=True))
    assert forced["label"]
    assert forced["activation_map"]


def test_picture_is_the_film_as_it_was_decoded(classifier: Classifier) -> None:
    content = written(noisy_gradient((96, 80), seed=0))
    found = film_response(
        classifier, Film("film.dcm", content), RequestOptions(force=True, picture=True)
    )
    picture = Image.open(io.BytesIO(base64.b64decode(found["picture"])))
    np.testing.assert_array_equal(np.asarray(picture), load_grey(content).pixels)
    json.dumps(found)


def test_film_that_cannot_be_decoded_once_more_for_its_picture_has_an_error(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, name: str, **__: object) -> None:
        raise ImageTooSlow(f"{name}: decoding took more than 20 s")

    monkeypatch.setattr("cxr_edge.serving.film_response.load_grey", slow)
    film = Film("film.png", encoded(Image.fromarray(drawn_film(*TWO_LUNGS)), "PNG"))
    found = film_response(classifier, film, RequestOptions(force=True, picture=True))
    assert found["error"]["message"] == "film.png: decoding took more than 20 s"
    assert "picture" not in found


def test_picture_of_a_large_film_is_smaller(classifier: Classifier) -> None:
    large = Film("film.dcm", written(noisy_gradient((2 * LONGEST, LONGEST), seed=0)))
    found = film_response(classifier, large, RequestOptions(force=True, picture=True))
    with Image.open(io.BytesIO(base64.b64decode(found["picture"]))) as picture:
        assert sorted(picture.size) == [LONGEST // 2, LONGEST]


def test_map_comes_with_the_box_that_it_lies_on(classifier: Classifier, tmp_path: Path) -> None:
    located = Classifier(Bundle.load(located_bundle(tmp_path / "tiny")))
    uploaded = Film("a.png", encoded(Image.fromarray(drawn_film(*TWO_LUNGS)), "PNG"))
    options = RequestOptions(force=True, activation_map=True)
    found = film_response(located, uploaded, options)
    assert found["box"].keys() == {"left", "top", "right", "bottom"}
    assert found["activation_map"]
    assert film_response(classifier, uploaded, options)["box"] is None
    json.dumps(found)
