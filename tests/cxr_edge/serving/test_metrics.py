import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from cxr_edge_runtime.bundle import Bundle

SAMPLES = Path(__file__).parents[3] / "data" / "samples"


def counts(client: TestClient, **headers: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Each sample's value by its name and the values of its labels."""
    response = client.get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_films_requests_and_stages_are_counted_and_no_name_is_a_label(
    serve: Callable[..., TestClient], shipped: Bundle
) -> None:
    client = serve()
    clear, opaque = (
        next(path for path in sorted(SAMPLES.glob("*.jpeg")) if kind in path.name).read_bytes()
        for kind in ("clear", "opacity")
    )
    for content in (clear, opaque, opaque):
        assert client.post("/v1/classify", content=content).status_code == 200
    assert client.post("/v1/classify", content=b"no film").status_code == 422
    assert client.get("/patient/doe").status_code == 404
    found = counts(client)
    films = {
        labels: value for (name, labels), value in found.items() if name == "cxr_edge_films_total"
    }
    assert sum(films.values()) == 4
    assert films["", "failed"] == 1  # label, verdict
    assert sum(value for labels, value in films.items() if "PNEUMONIA" in labels) == 2
    assert found["cxr_edge_requests_total", ("200",)] == 3
    assert found["cxr_edge_requests_total", ("422",)] == 1
    assert found["cxr_edge_requests_total", ("404",)] == 1
    for stage in ("decode", "preprocess", "invoke"):
        assert found["cxr_edge_stage_seconds_count", (stage,)] == 3
    assert found["cxr_edge_queue", ()] == 0
    [info] = [labels for name, labels in found if name == "cxr_edge_bundle_info"]
    assert set(info) == {shipped.manifest.name, shipped.manifest.version, shipped.digest}
    assert "doe" not in client.get("/metrics").text
    # Asking for the counts is not counted.
    assert counts(client)["cxr_edge_requests_total", ("200",)] == 3


def test_counts_need_the_token_of_the_api(serve: Callable[..., TestClient]) -> None:
    token = "a-token-of-enough-letters"
    client = serve(token=token)
    assert client.get("/metrics").status_code == 401
    found = counts(client, Authorization=f"Bearer {token}")
    assert found["cxr_edge_queue", ()] == 0


def test_films_that_wait_are_the_queue(serve: Callable[..., TestClient], held: Any) -> None:
    make, let_go, begun = held
    client = serve(classifier=make)
    film = next(SAMPLES.glob("*.jpeg")).read_bytes()
    threads = [
        threading.Thread(target=client.post, args=("/v1/classify",), kwargs={"content": film})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=30)
    for _ in range(600):
        if counts(client)["cxr_edge_queue", ()] == 2:
            break
    assert counts(client)["cxr_edge_queue", ()] == 2
    let_go.set()
    for thread in threads:
        thread.join()
    assert counts(client)["cxr_edge_queue", ()] == 0


def test_without_the_package_there_are_none_and_all_else_works(
    serve: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "cxr_edge.serving.metrics", raising=False)
    client = serve()
    response = client.get("/metrics")
    assert response.status_code == 404
    assert "metrics need prometheus-client" in response.json()["error"]["message"]
    film = next(SAMPLES.glob("*.jpeg")).read_bytes()
    assert client.post("/v1/classify", content=film).status_code == 200
