"""From annotations to a JSON Schema."""

import dataclasses
import functools
import inspect
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cxr_edge_runtime.typed_json.bounds import Schema
from cxr_edge_runtime.typed_json.reading import fields_of, has_default

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def json_schema(cls: Any, *, allow_defaults: bool = False) -> Schema:
    """The JSON Schema (2020-12) of what :func:`from_json` accepts for a type.

    What it refuses, the reader refuses; the reader also refuses integers beyond 64 bits and some
    characters that are not printable. Descriptions come from the docstring of each dataclass, those
    of fields from its section *Attributes*.

    Args:
        cls: a dataclass or any other annotation that the reader knows.
        allow_defaults: as for :func:`from_json`; otherwise every field is required.
    """
    origin, arguments = get_origin(cls), get_args(cls)
    inside = functools.partial(json_schema, allow_defaults=allow_defaults)
    if origin is Annotated:
        schema = inside(arguments[0])
        for rule in arguments[1:]:
            schema |= rule.schema()
        return schema
    if cls is Any:
        return {}
    if origin in (Union, types.UnionType):
        return {"anyOf": [inside(argument) for argument in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if dataclasses.is_dataclass(cls):
        return _object_schema(cls, allow_defaults)
    if origin is tuple and arguments[-1] is not ...:
        n = len(arguments)
        items = [inside(argument) for argument in arguments]
        return {"type": "array", "prefixItems": items, "minItems": n, "maxItems": n}
    if origin in (tuple, list):
        return {"type": "array", "items": inside(arguments[0])}
    if origin in (dict, Mapping):
        keys = {name: rule for name, rule in inside(arguments[0]).items() if name != "type"}
        names = {"propertyNames": keys} if keys else {}
        return {"type": "object", "additionalProperties": inside(arguments[1]), **names}
    return {"type": _TYPES[cls]}


def _object_schema(cls: Any, allow_defaults: bool) -> Schema:
    # Python 3.13 takes the indentation away, earlier ones keep it.
    summary, _, section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    meanings = {name: _one_line(text) for name, text in entries}
    hints = fields_of(cls)
    return {
        "description": _one_line(summary.partition("\n\n")[0]),
        "type": "object",
        "required": [name for name in hints if not (allow_defaults and has_default(cls, name))],
        "additionalProperties": False,
        "properties": {
            name: {
                **({"description": meanings[name]} if name in meanings else {}),
                **json_schema(hint, allow_defaults=allow_defaults),
            }
            for name, hint in hints.items()
        },
    }


def _one_line(text: str) -> str:
    """A part of a docstring as one line, without Sphinx's marks."""
    line = " ".join(text.split())
    return re.sub(r":(?:class|data|func|mod|meth):`~?([^`]+)`", r"\1", line).replace("``", "`")
