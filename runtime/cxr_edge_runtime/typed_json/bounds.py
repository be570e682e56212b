"""What a value must be beyond its type: declared once, for the reader and for the schema.

Named tuples, since every command waits for them to be made: a frozen dataclass takes six times as
long.
"""

import json
import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

Schema = dict[str, Any]


class Bounds(NamedTuple):
    """What a value must be beyond its type; stands in ``Annotated`` beside the type.

    Attributes:
        minimum: least number.
        maximum: greatest number.
        above: a number that the value must exceed.
        const: the only value.
        choices: the only values.
        pattern: a regular expression that the whole text must match.
        min_items: least number of entries of a list.
        max_items: greatest number of entries of a list.
        max_keys: greatest number of keys of an object.
        unique: whether no entry of a list may be repeated.
        contains: an entry that a list must have.
        must: what an error says in place of the rule, for example ``be a plain file name``.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    const: str | float | None = None
    choices: tuple[str | int, ...] | None = None
    pattern: str | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_keys: int | None = None
    unique: bool | None = None
    contains: str | int | None = None
    must: str | None = None

    def schema(self) -> Schema:
        """The same rules as keywords of JSON Schema."""
        return {
            rule.keyword: rule.stated(limit)
            for name, rule in _RULES.items()
            if (limit := getattr(self, name)) is not None
        }

    def broken_rule(self, value: Any) -> str | None:
        """What the value must do and does not, for example ``be at least 0``; None if all hold."""
        for name, rule in _RULES.items():
            limit = getattr(self, name)
            if limit is not None and not rule.holds(value, limit):
                return self.must or rule.must.format(rule.shown(limit))
        return None


class _Rule(NamedTuple):
    """One keyword of JSON Schema, and how it is checked and worded."""

    keyword: str
    holds: Callable[[Any, Any], bool]
    must: str
    stated: Callable[[Any], Any] = lambda limit: limit
    shown: Callable[[Any], Any] = lambda limit: limit


_RULES = {
    "minimum": _Rule("minimum", operator.ge, "be at least {}"),
    "maximum": _Rule("maximum", operator.le, "be at most {}"),
    "above": _Rule("exclusiveMinimum", operator.gt, "be above {}"),
    "const": _Rule("const", operator.eq, "be {}", shown=json.dumps),
    "choices": _Rule(
        "enum", lambda value, all_of_them: value in all_of_them, "be {}", list,
        lambda all_of_them: " or ".join(map(str, all_of_them)),
    ),
    "pattern": _Rule(
        "pattern", lambda value, pattern: re.fullmatch(pattern, value) is not None, "match {}",
        lambda pattern: f"^(?:{pattern})$",
    ),
    "min_items": _Rule("minItems", lambda value, n: len(value) >= n, "have {} or more entries"),
    "max_items": _Rule("maxItems", lambda value, n: len(value) <= n, "have {} or fewer entries"),
    "max_keys": _Rule("maxProperties", lambda value, n: len(value) <= n, "have {} or fewer keys"),
    "unique": _Rule(
        "uniqueItems", lambda value, _: len(set(value)) == len(value), "not repeat an entry"
    ),
    "contains": _Rule(
        "contains", lambda value, entry: entry in value, "contain {}",
        lambda entry: {"const": entry},
    ),
}  # fmt: skip


class _Printable:
    """See :data:`PRINTABLE`."""

    def schema(self) -> Schema:
        # No regular expression tells all that is printable: the reader is stricter.
        return {"pattern": r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"}

    def broken_rule(self, value: str) -> str | None:
        printable = all(line.isprintable() for line in value.split("\n"))
        return None if printable else "be text that can be printed"


PRINTABLE = _Printable()
"""In ``Annotated[str, PRINTABLE]``: text that no terminal can be tricked with, line breaks allowed.

Control characters can move a terminal's cursor, and lone surrogates cannot be printed at all."""
