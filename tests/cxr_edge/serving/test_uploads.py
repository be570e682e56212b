import asyncio
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from cxr_edge.serving import app, classifying, uploads
from cxr_edge.serving.admission import Admission
from cxr_edge.serving.uploads import shown_name
from serving import PHANTOM

Serve = Callable[..., TestClient]


def kind(response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["kind"]


def test_body_as_one_film_and_form_of_several(serve: Serve) -> None:
    client, content = serve(), PHANTOM.read_bytes()
    alone = client.post("/v1/classify", content=content).json()["results"]
    assert [result["file"] for result in alone] == ["film"]
    files = [("film", ("a.jpeg", content)), ("other", ("b.jpeg", content))]
    several = client.post("/v1/classify", files=files).json()["results"]
    assert [result["file"] for result in several] == ["a.jpeg", "b.jpeg"]
    assert {result["label"] for result in several} == {alone[0]["label"]}


def test_request_without_a_film_says_so(serve: Serve) -> None:
    client = serve()
    assert kind(client.post("/v1/classify")) == (400, "NoFilm")
    fields = {"films": (None, "not a file")}
    assert kind(client.post("/v1/classify", files=fields)) == (400, "NoFilm")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n"),
        ("multipart/form-data; charset=nonsense; boundary=x", b"--x--"),
    ],
)
def test_damaged_form_is_refused(serve: Serve, content_type: str, body: bytes) -> None:
    response = serve().post("/v1/classify", content=body, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert response.json()["error"]["kind"] in ("InvalidForm", "NoFilm")


def test_too_many_films_are_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "MOST_FILMS", 2)
    files = [("film", (f"{number}.jpeg", b"x")) for number in range(3)]
    assert kind(serve().post("/v1/classify", files=files)) == (400, "InvalidForm")


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 1000


def test_upload_is_refused_by_its_announced_length(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 3000)
    response = serve().post("/v1/classify", content=b"x" * 3001)
    assert kind(response) == (413, "TooLarge")
    assert response.headers["connection"] == "close"


def test_upload_of_unknown_length_is_refused_while_it_is_read(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 3000)
    assert kind(serve().post("/v1/classify", content=chunks(10))) == (413, "TooLarge")


def test_no_more_bytes_are_held_than_there_is_room_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MOST_BYTES_HELD", 4000)  # one client has 5/8
    client = serve()
    assert kind(client.post("/v1/classify", content=b"x" * 3000)) == (503, "Busy")
    assert kind(client.post("/v1/classify", content=chunks(3))) == (503, "Busy")
    for _ in range(3):  # what was held is given back
        assert client.post("/v1/classify", content=b"x" * 2500).status_code == 422


@pytest.mark.parametrize("as_form", [False, True], ids=["body", "form"])
def test_film_is_held_once(as_form: bool) -> None:
    n_bytes, sent = 20_000_000, 0
    head = b'--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'

    async def receive() -> Message:
        nonlocal sent
        begin, end = (head, b"\r\n--B--\r\n") if as_form else (b"", b"")
        body = (begin if not sent else b"") + bytes(50_000)
        sent += 50_000
        whole = sent == n_bytes
        return {
            "type": "http.request",
            "body": body + (end if whole else b""),
            "more_body": not whole,
        }

    async def read() -> None:
        headers = [(b"content-type", b"multipart/form-data; boundary=B")] if as_form else []
        request = Request({"type": "http", "headers": headers}, receive)
        admission = Admission(uploads=9, requests=9, n_bytes=3 * n_bytes)
        async for film in uploads.read_films(request, admission.acquire("a"), most=1):
            assert len(film.content) == n_bytes

    tracemalloc.start()
    try:
        asyncio.run(read())
        assert tracemalloc.get_traced_memory()[1] < 1.5 * n_bytes
    finally:
        tracemalloc.stop()


def test_films_are_never_written_to_a_disk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def written(*arguments: object, **options: object) -> None:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", written)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", written)
    large = PHANTOM.read_bytes() + b"\0" * 5_000_000
    response = serve().post("/v1/classify", files=[("film", ("a.jpeg", large))])
    assert response.json()["results"][0]["label"]


@given(st.text(max_size=400))
def test_names_are_short_printable_and_no_paths(name: str) -> None:
    shown = shown_name(name)
    assert 0 < len(shown) <= 255
    assert shown.isprintable()
    assert "/" not in shown
    assert "\\" not in shown


def test_the_last_part_of_a_path_is_shown() -> None:
    assert shown_name("C:\\films\\anna.dcm") == shown_name("/films/anna.dcm") == "anna.dcm"
    assert shown_name(None) == shown_name("..\n"[2:]) == "film"
