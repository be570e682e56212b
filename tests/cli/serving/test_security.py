import hmac
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from cxr_edge.serving import security

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


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_are_refused(serve: Serve, site: str) -> None:
    response = serve().post("/v1/classify", content=b"x", headers={"Sec-Fetch-Site": site})
    assert (response.status_code, response.json()["error"]["kind"]) == (403, "OtherSite")


@pytest.mark.parametrize("path", ["/", "/page.js", "/v1/model", "/no/such/page", "/model"])
def test_every_answer_has_the_headers_and_allows_no_other_site(serve: Serve, path: str) -> None:
    response = serve().get(path, headers={"Origin": "https://elsewhere.example"})
    for name, value in security.HEADERS.items():
        assert response.headers[name] == value
    assert not [name for name in response.headers if name.startswith("access-control")]
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
