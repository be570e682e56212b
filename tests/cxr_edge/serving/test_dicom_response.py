import email
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from starlette.testclient import TestClient

from cxr_edge.dicom_out.answer import dicom_answer
from cxr_edge.serving import dicom_response
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from dicom_files import written
from serving import PHANTOM

Serve = Callable[..., TestClient]
URL = "/v1/classify?as=dicom"
STUDY = {"StudyInstanceUID": "1.2.5", "SeriesInstanceUID": "1.2.4"}


def film(**tags: Any) -> bytes:
    return written(np.asarray(Image.open(PHANTOM).convert("L")), **(STUDY | tags))


def parts(response: Any) -> list[bytes]:
    """Those of a multipart response, as a mail reader divides it."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    found = email.message_from_bytes(head + response.content)
    assert found.get_content_type() == "multipart/related"
    assert found.get_param("type") == "application/dicom"
    payloads = [part.get_payload(decode=True) for part in found.get_payload()]
    assert [part.get_content_type() for part in found.get_payload()] == ["application/dicom"] * 2
    assert [int(part["Content-Length"]) for part in found.get_payload()] == list(map(len, payloads))
    return payloads


def test_response_has_the_capture_and_the_report_of_classify(serve: Serve, shipped: Bundle) -> None:
    content = film()
    response = serve().post(URL, content=content)
    assert response.status_code == 200
    prediction = Classifier(shipped).classify(content)
    expected = dicom_answer(content, prediction, shipped, name="film")
    found = parts(response)
    assert found == list(expected.values())
    for part, modality in zip(found, ("OT", "SR")):
        made = pydicom.dcmread(io.BytesIO(part))
        assert (made.StudyInstanceUID, made.Modality) == ("1.2.5", modality)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PHANTOM.read_bytes(), "film: is not a DICOM file, so there is no study for the answer"),
        (film(StudyInstanceUID=""), "film: its DICOM header has no StudyInstanceUID"),
        (b"x", "film: not a JPEG"),
    ],
)
def test_film_that_cannot_be_answered_to_has_an_error(
    serve: Serve, content: bytes, message: str
) -> None:
    response = serve().post(URL, content=content)
    assert response.status_code == 422
    [result] = response.json()["results"]
    assert result["error"]["message"].startswith(message)
    assert "dicom" not in result


def test_one_film_is_taken_and_nothing_that_joins_json(serve: Serve) -> None:
    client, content = serve(), film()
    files = [("film", (name, content)) for name in ("a", "b")]
    assert client.post(URL, files=files).status_code == 400
    for query in ("map=1", "picture=true"):
        response = client.post(f"{URL}&{query}", content=content)
        assert (response.status_code, response.json()["error"]["kind"]) == (400, "InvalidQuery")
    response = client.post("/v1/classify?as=json", content=content)
    assert response.status_code == 400
    assert "as=dicom" in response.json()["error"]["message"]


def test_server_without_the_extra_says_how_to_install_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_response, "find_spec", lambda name: None)
    response = serve().post(URL, content=film())
    assert (response.status_code, response.json()["error"]["kind"]) == (501, "ExtraMissing")
    assert "pip install '.[dicom-out]'" in response.json()["error"]["message"]
