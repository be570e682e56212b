"""One strict reader from JSON to frozen dataclasses, and their JSON Schema; no numpy.

The annotations are the format: whatever they do not say is refused, and :func:`json_schema` derives
the schema from the same annotations, so reader and schema cannot disagree.

>>> from dataclasses import dataclass
>>> from typing import Annotated, Literal
>>> @dataclass(frozen=True)
... class Limit:
...     metric: Literal["recall", "agreement"]
...     least: Annotated[float, Bounds(minimum=0, maximum=1)]
...     seeds: tuple[int, ...] = ()
>>> from_json(Limit, parse_json('{"metric": "recall", "least": 0.95, "seeds": [1, 2]}'))
Limit(metric='recall', least=0.95, seeds=(1, 2))
>>> from_json(Limit, {"metric": "recall", "least": 1.5, "seeds": []})
Traceback (most recent call last):
    ...
cxr_edge_runtime.typed_json.reading.TypedJsonError: least must be at most 1, not 1.5
>>> from_json(Limit, {"metric": "recall", "least": 1}, allow_defaults=True)
Limit(metric='recall', least=1.0, seeds=())

Annotations may be dataclasses, ``str``, ``int``, ``float``, ``bool``, ``None``, ``Any``,
``Literal``, unions such as ``X | None``, ``list[X]``, ``tuple[X, ...]``, ``tuple[X, Y]``,
``dict[str, X]``, ``Mapping[str, X]``, and ``Annotated`` with :class:`Bounds` or :data:`PRINTABLE`.
"""

from cxr_edge_runtime.typed_json.bounds import PRINTABLE, Bounds, Schema
from cxr_edge_runtime.typed_json.reading import TypedJsonError, from_json, parse_json
from cxr_edge_runtime.typed_json.schema import json_schema

__all__ = [
    "PRINTABLE",
    "Bounds",
    "Schema",
    "TypedJsonError",
    "from_json",
    "json_schema",
    "parse_json",
]
