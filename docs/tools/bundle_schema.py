"""The JSON Schema of ``bundle.json``: that of its dataclasses, and the conditions between fields.

It says as much as a schema can. What it refuses, the reader refuses; the reader refuses more: that
``positive_label`` is one of ``labels``, that sizes agree, that text can be printed.
"""

from cxr_edge_runtime.bundle.manifest import (
    CONTRACT_INPUTS,
    GATE_FILE,
    MAX_BYTES,
    SCHEMA_VERSION,
    Manifest,
)
from cxr_edge_runtime.typed_json import Schema, json_schema


def bundle_schema() -> Schema:
    """The schema, as JSON has it."""
    manifest = json_schema(Manifest)
    manifest["required"].remove("site")  # of bundles that were calibrated for one alone
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"bundle.json of cxr-edge, schema_version {SCHEMA_VERSION}",
        **manifest,
        "allOf": [_gate_needs(), *(_at_most(file, most) for file, most in MAX_BYTES.items())],
        "anyOf": list(map(_contract, CONTRACT_INPUTS)),
    }


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
    return {
        "if": {"properties": {"gate": {"type": "object"}}},
        "then": {
            "properties": {
                "files": {"required": [GATE_FILE]},
                "outputs": {"contains": {"const": "embedding"}},
            }
        },
    }


def _at_most(file: str, most: int) -> Schema:
    limited = {"properties": {"bytes": {"maximum": most}}}
    return {"properties": {"files": {"properties": {file: limited}}}}
