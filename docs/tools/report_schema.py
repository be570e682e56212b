"""The JSON Schema of ``report.json``: that of its dataclasses, less what may be left out."""

from typing import Any

from cxr_edge_convert.report.conversion_report import (
    OPTIONAL_KEYS,
    REPORT_SCHEMA_VERSION,
    ConversionReport,
)
from cxr_edge_runtime.typed_json import Schema, json_schema


def report_schema() -> Schema:
    """The schema, as JSON has it."""
    schema: Schema = _with_optional_keys(json_schema(ConversionReport))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"report.json of cxr-edge, schema_version {REPORT_SCHEMA_VERSION}",
        **schema,
    }


def _with_optional_keys(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_optional_keys(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {key: _with_optional_keys(part) for key, part in schema.items()}
    if isinstance(inside.get("required"), list):
        inside["required"] = [name for name in inside["required"] if name not in OPTIONAL_KEYS]
    return inside
