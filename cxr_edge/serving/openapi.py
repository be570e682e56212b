"""The API's description, OpenAPI 3.1, as ``GET /openapi.json`` gives it."""

from dataclasses import dataclass
from importlib import metadata
from typing import Annotated, Any

from cxr_edge.serving.film_response import LONGEST, FilmResult
from cxr_edge.serving.model_card import ModelDescription
from cxr_edge.serving.problems import ProblemContent
from cxr_edge.serving.uploads import MOST_BYTES, MOST_FILMS
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.result_json import ImageProblem
from cxr_edge_runtime.typed_json import Bounds, json_schema

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Health:
    """Liveness of the server."""

    status: Annotated[str, Bounds(const="ok")] = "ok"


def description(*, token_needed: bool) -> dict[str, Any]:
    """The document.

    Args:
        token_needed: whether this server asks for a token.
    """
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "cxr-edge",
            "version": metadata.version("cxr-edge"),
            "summary": "Classifies chest X-rays on this device.",
            "description": f"{NOTICE} Films are kept in memory only until they are classified.",
        },
        "paths": {
            "/v1/classify": {"post": _classify()},
            "/v1/model": {"get": _reading("The model in use and what it is for.", "Model")},
            "/healthz": {"get": _reading("Whether the server responds.", "Health")},
            "/openapi.json": {
                "get": {
                    "summary": "This document.",
                    "operationId": "openapi",
                    "security": [],
                    "responses": {
                        "200": _content("The document.", {"type": "object"}),
                        "default": _problem(),
                    },
                }
            },
        },
        "components": {"schemas": _schemas()},
    }
    document["paths"]["/healthz"]["get"]["security"] = []
    if token_needed:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _classify() -> dict[str, Any]:
    film = {"type": "string", "format": "binary"}
    options = {
        "force": "Classify the film even if the input gate (the check that it is a usable "
        "frontal chest X-ray) rejects it.",
        "map": "Return the activation map with the result.",
        "picture": (
            f"Return the film as PNG of at most {LONGEST} pixels per side, for browsers that "
            "cannot show it; only for a single film."
        ),
    }
    return {
        "summary": "Classify one film or several.",
        "description": (
            f"A form of at most {MOST_FILMS} files, or one film as the body, with "
            f"{MOST_BYTES // 1_000_000} MB in total. JPEG, PNG, TIFF, BMP, WebP or "
            "DICOM, recognised by content. Results are in the order of the form; a film that "
            "cannot be used has an error in place of a result."
        ),
        "operationId": "classify",
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": text,
                "schema": {"type": "boolean", "default": False},
            }
            for name, text in options.items()
        ]
        + [
            {
                "name": "as",
                "in": "query",
                "description": (
                    "Answer a DICOM film as DICOM: a secondary capture and a structured report in "
                    "its study; only for a single film, and the server needs the extra dicom-out."
                ),
                "schema": {"const": "dicom"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "film": {
                                "type": "array",
                                "items": film,
                                "minItems": 1,
                                "maxItems": MOST_FILMS,
                            }
                        },
                        "required": ["film"],
                    }
                },
                "application/octet-stream": {"schema": film},
                "image/*": {"schema": film},
                "application/dicom": {"schema": film},
            },
        },
        "responses": {
            "200": {
                "description": "At least one film was classified.",
                "content": {
                    _JSON: {"schema": _reference("Results")},
                    'multipart/related; type="application/dicom"': {"schema": {"type": "string"}},
                },
            },
            "422": _content("No film could be used.", _reference("Results")),
            "503": {
                **_problem(),
                "description": "This device is already handling as many requests as it accepts.",
                "headers": {
                    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
                },
            },
            "default": _problem(),
        },
    }


def _reading(summary: str, schema: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": schema.lower(),
        "responses": {"200": _content(summary, _reference(schema)), "default": _problem()},
    }


def _problem() -> dict[str, Any]:
    return _content("Why there is no result, as a code and as a sentence.", _reference("Refusal"))


def _content(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {_JSON: {"schema": schema}}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    results = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [_reference("Answer"), _reference("FilmError")]},
    }
    return {
        "Results": {
            "type": "object",
            "properties": {"results": results},
            "required": ["results"],
            "additionalProperties": False,
        },
        # Map and picture are there only when they are asked for.
        "Answer": json_schema(FilmResult, allow_defaults=True),
        "FilmError": json_schema(ImageProblem),
        "Refusal": json_schema(ProblemContent),
        "Model": json_schema(ModelDescription),
        "Health": json_schema(Health),
    }
