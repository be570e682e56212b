"""The JSON Schema of ``bundle.json``, made from its dataclasses and the reader's conditions.

It says as much as a schema can. What it refuses, the reader refuses; the reader refuses more: that
``positive_label`` is one of ``labels``, that sizes agree, that text can be printed.
"""

import dataclasses
import inspect
import re
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from cxr_edge_runtime.bundle.manifest import (
    CONTRACT_INPUTS,
    GATE_FILE,
    MAX_GATE_BYTES,
    MAX_REFERENCE_BYTES,
    MAX_SELFTEST_BYTES,
    OUTPUTS,
    REFERENCE_FILE,
    SCHEMA_VERSION,
    SELFTEST_FILE,
    Manifest,
)
from cxr_edge_runtime.bundle.manifest_reading import MAX_FILE_BYTES, MAX_FILES
from cxr_edge_runtime.preprocess import PREPROCESS_VERSION, PreprocessSpec

Schema = dict[str, Any]

_PRIMITIVES: dict[type, Schema] = {
    # Control characters but the line break would play tricks on a terminal.
    str: {"type": "string", "pattern": r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
_PLAIN_NAME = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
_SIDE = {"minimum": 1, "maximum": 4096}

# What the types alone do not say, by the path of keys.
_CONDITIONS: dict[str, Schema] = {
    "schema_version": {"const": SCHEMA_VERSION},
    "labels": {"minItems": 2, "maxItems": 2, "uniqueItems": True},
    "files": {"propertyNames": {"pattern": _PLAIN_NAME}, "maxProperties": MAX_FILES},
    "files.*.bytes": {"minimum": 0, "maximum": MAX_FILE_BYTES},
    "model.file": {"pattern": _PLAIN_NAME},
    "input.shape": {
        "prefixItems": [{"const": 1}, _SIDE, _SIDE, {"const": 1}], "minItems": 4, "maxItems": 4,
    },
    "input.scale": {"const": 1},
    "outputs": {"contains": {"const": "logit"}, "uniqueItems": True},
    "outputs.*": {"enum": list(OUTPUTS)},
    "preprocess.height": _SIDE,
    "preprocess.width": _SIDE,
    "preprocess.rule": {"const": PreprocessSpec().rule},
    "preprocess.version": {"const": PREPROCESS_VERSION},
    "temperature": {"exclusiveMinimum": 0},
    "threshold.value": {"minimum": 0, "maximum": 1},
    "gate.suspicious": {"exclusiveMinimum": 0},
    "gate.rejected": {"exclusiveMinimum": 0},
}  # fmt: skip


def bundle_schema() -> Schema:
    """The schema, as JSON has it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"bundle.json of cxr-edge, schema_version {SCHEMA_VERSION}",
        **_schema(Manifest, ""),
        "allOf": [_gate_needs(), *(_at_most(file, most) for file, most in _LIMITED)],
        "anyOf": list(map(_contract, CONTRACT_INPUTS)),
    }


_LIMITED = ((SELFTEST_FILE, MAX_SELFTEST_BYTES), (REFERENCE_FILE, MAX_REFERENCE_BYTES))


def _schema(expected: Any, where: str) -> Schema:
    """Of a type; ``where`` is the path of keys to it, with ``*`` for any key or item."""
    origin, arguments = get_origin(expected), get_args(expected)
    more = _CONDITIONS.get(where, {})
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(arguments[0], where), {"type": "null"}]}
    if dataclasses.is_dataclass(expected):
        hints = get_type_hints(expected)
        meanings = _meanings(expected)
        return {
            "description": _sentences(inspect.getdoc(expected) or "", until="\n\n"),
            "type": "object",
            "required": list(hints),
            "additionalProperties": False,
            "properties": {
                key: {
                    **({"description": meanings[key]} if key in meanings else {}),
                    **_schema(hint, _path(where, key)),
                }
                for key, hint in hints.items()
            },
            **more,
        }
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], _path(where, "*")), **more}
    if origin is dict:
        inside = _schema(arguments[1], _path(where, "*"))
        return {"type": "object", "additionalProperties": inside, **more}
    return {**_PRIMITIVES[expected], **more}


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _meanings(cls: Any) -> dict[str, str]:
    """What the docstring's section *Attributes* says of each field."""
    section = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: _sentences(text) for name, text in entries}


def _sentences(text: str, until: str = "\n\n\n") -> str:
    """A part of a docstring as one line, without Sphinx's marks."""
    line = " ".join(text.partition(until)[0].split())
    return re.sub(r":(?:class|data|func):`~?([^`]+)`", r"\1", line).replace("``", "`")


def _contract(format: str) -> Schema:
    """Type and zero point of the input follow from format and quantization."""
    kinds = CONTRACT_INPUTS[format].items()
    return {
        "properties": {"model": {"properties": {"format": {"const": format}}}},
        "anyOf": [
            {
                "properties": {
                    "model": {"properties": {"quantization": {"const": quantization}}},
                    "input": {
                        "properties": {"dtype": {"const": dtype}, "zero_point": {"const": zero}}
                    },
                }
            }
            for quantization, (dtype, zero) in kinds
        ],
    }


def _gate_needs() -> Schema:
    """A gate needs its numbers and the embedding that it judges."""
    file = {"properties": {"bytes": {"maximum": MAX_GATE_BYTES}}}
    return {
        "if": {"properties": {"gate": {"type": "object"}}},
        "then": {
            "properties": {
                "files": {"required": [GATE_FILE], "properties": {GATE_FILE: file}},
                "outputs": {"contains": {"const": "embedding"}},
            }
        },
    }


def _at_most(file: str, most: int) -> Schema:
    limited = {"properties": {"bytes": {"maximum": most}}}
    return {"properties": {"files": {"properties": {file: limited}}}}
