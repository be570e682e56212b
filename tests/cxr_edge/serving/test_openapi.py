from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from cxr_edge.serving.openapi import description
from serving import running_server

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "samples"
Serve = Callable[..., TestClient]


def test_document_is_what_the_server_gives(serve: Serve) -> None:
    assert serve().get("/openapi.json").json() == description(token_needed=False)
    secured = serve(token="x" * 16).get("/openapi.json").json()
    assert secured["security"] == [{"token": []}]
    assert secured["paths"]["/healthz"]["get"]["security"] == []


def test_answers_are_as_described(serve: Serve) -> None:
    client = serve()
    document = client.get("/openapi.json").json()
    answers = jsonschema_rs.validator_for(
        {"$ref": "#/components/schemas/Results", "components": document["components"]}
    )
    films = [("film", (path.name, path.read_bytes())) for path in sorted(SAMPLES.glob("*.jpeg"))]
    films.append(("film", ("notes.txt", b"no film")))
    for query, sent in (("", films), ("?map=true&picture=true&force=true", films[:1])):
        answers.validate(client.post(f"/v1/classify{query}", files=sent).json())
    model = {"$ref": "#/components/schemas/Model", "components": document["components"]}
    jsonschema_rs.validator_for(model).validate(client.get("/v1/model").json())


@pytest.fixture(scope="module")
def api() -> Iterator[schemathesis.BaseSchema]:
    with running_server("--threads", 1) as server:
        yield schemathesis.openapi.from_url(f"{server.address}/openapi.json")


VALID, INVALID = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        ("/v1/classify", "POST", VALID),
        ("/v1/classify", "POST", INVALID),
        # These take nothing that could be wrong.
        ("/v1/model", "GET", VALID),
        ("/healthz", "GET", VALID),
        ("/openapi.json", "GET", VALID),
    ],
)
def test_whatever_the_document_allows_or_not_is_answered_as_it_says(
    api: schemathesis.BaseSchema, path: str, method: str, mode: schemathesis.GenerationMode
) -> None:
    operation = api[path][method]

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        # No schema can say which bytes are a film, so what it allows may still be none.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()
