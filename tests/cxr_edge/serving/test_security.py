import hmac
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge.serving import security
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from serving import PHANTOM

TOKEN = "0123456789abcdef-token"
Serve = Callable[..., TestClient]


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
def test_api_needs_the_token(serve: Serve, given: str | None) -> None:
    client = serve(token=TOKEN)
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    for response in (
        client.get("/v1/model", headers=headers),
        client.post("/v1/classify", content=b"x", headers=headers),
        client.get("/v1/anything", headers=headers),
    ):
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["kind"] == "TokenNeeded"


def test_right_token_opens_the_api_and_the_page_needs_none(serve: Serve) -> None:
    client = serve(token=TOKEN)
    assert client.get("/v1/model", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    for path in ("/", "/page.js", "/page.css", "/healthz", "/openapi.json", "/model"):
        assert client.get(path).status_code == 200


def test_tokens_are_compared_in_constant_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(security, "hmac", SimpleNamespace(compare_digest=compare))
    serve(token=TOKEN).get("/v1/model", headers={"Authorization": "Bearer x"})
    assert compared == [(b"x", TOKEN.encode())]


@pytest.mark.parametrize("host", ["x/y?", "x#", "[", "x/healthz?", "a b", ""])
def test_no_host_opens_the_api(serve: Serve, host: str) -> None:
    # An address is not put together from what the client calls the server.
    response = serve(token=TOKEN).get("/v1/model", headers={"Host": host})
    assert response.status_code == 401


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_own_names_are_answered(serve: Serve, host: str) -> None:
    client = serve(own_hosts_only=True)
    assert client.get("/v1/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[", "0.0.0.0"])
def test_other_names_for_this_device_are_refused(serve: Serve, host: str) -> None:
    client = serve(own_hosts_only=True)
    for path in ("/v1/model", "/", "/page.js"):
        response = client.get(path, headers={"Host": host})
        assert (response.status_code, response.json()["error"]["kind"]) == (403, "OtherHost")


def test_page_of_another_origin_is_refused_and_its_own_is_answered(serve: Serve) -> None:
    client = serve()
    for origin, status in (
        ("http://evil.example", 403), ("null", 403), ("http://testserver:81", 403),
        ("http://testserver", 200), ("https://testserver", 200), ("http://[", 403), ("", 403),
    ):  # fmt: skip
        assert client.get("/v1/model", headers={"Origin": origin}).status_code == status


def test_browser_that_says_it_is_its_own_page_is_believed_behind_a_proxy(serve: Serve) -> None:
    headers = {"Origin": "https://films.example.org", "Sec-Fetch-Site": "same-origin"}
    assert serve().get("/v1/model", headers=headers).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_are_refused(serve: Serve, site: str) -> None:
    response = serve().post("/v1/classify", content=b"x", headers={"Sec-Fetch-Site": site})
    assert (response.status_code, response.json()["error"]["kind"]) == (403, "OtherSite")


@pytest.mark.parametrize("path", ["/", "/page.js", "/v1/model", "/no/such/page", "/model"])
def test_every_answer_has_the_headers_and_allows_no_other_site(serve: Serve, path: str) -> None:
    response = serve().get(path)
    for name, value in security.HEADERS.items():
        assert response.headers[name] == value
    assert not [name for name in response.headers if name.startswith("access-control")]
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy


def test_errors_have_the_headers_too(serve: Serve, shipped: Bundle) -> None:
    class Broken(Classifier):
        def classify(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError

    client = serve(classifier=lambda: Broken(shipped), token=TOKEN)
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
        response = client.post("/v1/classify", content=PHANTOM.read_bytes(), headers=headers)
        assert response.status_code in (401, 500)
        for name, value in security.HEADERS.items():
            assert response.headers[name] == value
