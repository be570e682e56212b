"""The API's description, OpenAPI 3.1, as ``GET /openapi.json`` gives it."""

from importlib import metadata
from typing import Any

from cxr_edge.serving.uploads import MOST_BYTES, MOST_FILMS
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.gate import ACCEPTED, NOT_CHECKED, REJECTED, SUSPICIOUS
from cxr_edge_runtime.result_json import RESULT_SCHEMA_VERSION

_JSON = "application/json"
_TEXT, _NUMBER, _BOOLEAN = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_TEXTS = {"type": "array", "items": _TEXT}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


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
            "description": f"{NOTICE} Films are kept in memory until they are answered, no longer.",
        },
        "paths": {
            "/v1/classify": {"post": _classify()},
            "/v1/model": {"get": _reading("Which model answers, and what for.", "Model")},
            "/healthz": {"get": _reading("Whether the server answers.", "Health")},
            "/openapi.json": {
                "get": {
                    "summary": "This document.",
                    "operationId": "openapi",
                    "security": [],
                    "responses": {
                        "200": _content("The document.", {"type": "object"}),
                        "default": _refusal(),
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
    wishes = {
        "force": "Answer also where the gate rejects the film.",
        "map": "Give the activation map with the answer.",
        "picture": "Give the film, one alone, back as PNG, for browsers that cannot show it.",
    }
    return {
        "summary": "Classify one film or several.",
        "description": (
            f"A form of at most {MOST_FILMS} files, or one film as the body, with "
            f"{MOST_BYTES // 1_000_000} MB in all. JPEG, PNG, TIFF, BMP, WebP or DICOM, known by "
            "their content. Films of a form are answered in its order; a film that cannot be used "
            "has an error in the place of an answer."
        ),
        "operationId": "classify",
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": words,
                "schema": {"type": "boolean", "default": False},
            }
            for name, words in wishes.items()
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
            "200": _content("At least one film has an answer.", _reference("Results")),
            "422": _content("No film could be used.", _reference("Results")),
            "503": {
                **_refusal(),
                "description": "As many requests are under way as this device takes.",
                "headers": {
                    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
                },
            },
            "default": _refusal(),
        },
    }


def _reading(summary: str, schema: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": schema.lower(),
        "responses": {"200": _content(summary, _reference(schema)), "default": _refusal()},
    }


def _refusal() -> dict[str, Any]:
    return _content(
        "Why there is no result, in one word and in a sentence.", _reference("ProblemResponse")
    )


def _content(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {_JSON: {"schema": schema}}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _schemas() -> dict[str, Any]:
    version = {"const": RESULT_SCHEMA_VERSION}
    problem = _object({"kind": _TEXT, "message": _TEXT})
    verdicts = [ACCEPTED, SUSPICIOUS, REJECTED, NOT_CHECKED]
    map_ = _object(
        {
            "height": {"type": "integer", "minimum": 1},
            "width": {"type": "integer", "minimum": 1},
            "values": {"type": "array", "items": _NUMBER},
        }
    )
    return {
        "Results": _object(
            {
                "results": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"anyOf": [_reference("Answer"), _reference("FilmError")]},
                }
            }
        ),
        "Answer": _object(
            {
                "schema_version": version,
                "file": _TEXT,
                "label": {"type": ["string", "null"]},
                "probability": {"anyOf": [_SHARE, {"type": "null"}]},
                "threshold": _SHARE,
                "gate": _object({"verdict": {"enum": verdicts}, "reasons": _TEXTS}),
                "warnings": _TEXTS,
                "timings_ms": _object(dict.fromkeys(("decode", "preprocess", "invoke"), _NUMBER)),
                "bundle": _object(dict.fromkeys(("name", "version", "sha256"), _TEXT)),
                "notice": _TEXT,
            },
            {
                "activation_map": {"anyOf": [map_, {"type": "null"}]},
                "picture": {"type": "string", "contentEncoding": "base64"},
            },
        ),
        "FilmError": _object({"schema_version": version, "file": _TEXT, "error": problem}),
        "ProblemResponse": _object({"schema_version": version, "error": problem}),
        "Model": _object(
            {
                **dict.fromkeys(("name", "version", "sha256"), _TEXT),
                "labels": _TEXTS,
                "positive_label": _TEXT,
                "threshold": _SHARE,
                "input_gate": _BOOLEAN,
                "activation_map": _BOOLEAN,
                **dict.fromkeys(("intended_use", "notice"), _TEXT),
            }
        ),
        "Health": _object({"status": {"const": "ok"}}),
    }
