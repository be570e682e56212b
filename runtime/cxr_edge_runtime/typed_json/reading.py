"""From parsed JSON to dataclasses, by their annotations."""

import dataclasses
import functools
import json
import math
import reprlib
import sys
import types
from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NoReturn,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

T = TypeVar("T")

# Beyond it an integer of JSON has no double.
_LARGEST_NUMBER = sys.float_info.max
# What every reader of JSON that has integers at all can hold.
_LARGEST_INTEGER = 2**63 - 1
# Characters of a wrong value in a message.
_SHOWN = 80

_KINDS: dict[Any, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


class TypedJsonError(ValueError):
    """JSON does not have the form that a dataclass asks for.

    Attributes:
        path: the keys and indices to the wrong value, for example ``files.model.tflite.bytes`` or
            ``flow[3].found``; the name given to :func:`from_json` where it is the whole.
        reason: what is wrong with it, to be read after the path.
    """

    def __init__(self, path: str, reason: str) -> None:
        """Make the error; its text is path and reason in one line."""
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


def parse_json(content: str | bytes) -> Any:
    """Parse JSON text, strictly and without ever ending in another error.

    Args:
        content: the text, or its bytes in UTF-8, UTF-16 or UTF-32.

    Returns:
        Dictionaries, lists, strings, numbers, booleans and None.

    Raises:
        TypedJsonError: not JSON, nested too deeply, or an object has a key twice, of whose values
            another reader might believe the other.
    """
    try:
        return json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise TypedJsonError("the text", f"is not valid JSON ({error})") from None


def from_json(
    cls: type[T],
    values: Any,
    *,
    name: str = "the value",
    path: str = "",
    allow_defaults: bool = False,
) -> T:
    """Read parsed JSON (or TOML) as a dataclass, by its annotations.

    Args:
        cls: the dataclass, or another annotation, for example ``tuple[FlowRow, ...]``.
        values: what :func:`parse_json` returns, or a part of it.
        name: what an error calls the whole, for example ``the manifest``.
        path: of the part, where ``values`` is one, for example ``flow``; errors begin with it.
        allow_defaults: whether fields that have a default may be missing, at any depth.

    Returns:
        An instance of ``cls``. An integer is accepted for a ``float`` and becomes one.

    Raises:
        TypedJsonError: a field is missing, unknown, of the wrong type or outside its
            :class:`Bounds`; a number is not finite or too large.
    """
    try:
        result: T = _Reader(name, allow_defaults).read(cls, values, path)
    except RecursionError:
        raise TypedJsonError(name, "is nested too deeply") from None
    return result


@functools.cache
def fields_of(cls: Any) -> dict[str, Any]:
    """The annotation of each field that the constructor takes; remembered, for long lists."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


@functools.cache
def has_default(cls: Any, name: str) -> bool:
    """Whether a field of a dataclass may be left out where defaults are allowed."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key appears twice")
    return values


class _Reader(NamedTuple):
    """Reads values recursively; ``path`` is where the value stands."""

    name: str
    allow_defaults: bool

    def read(self, expected: Any, value: Any, path: str) -> Any:
        origin, arguments = get_origin(expected), get_args(expected)
        if origin is Annotated:
            result = self.read(arguments[0], value, path)
            for rule in arguments[1:]:
                if (must := rule.broken_rule(result)) is not None:
                    self._refuse(path, f"must {must}", value)
            return result
        if expected is Any:
            return value
        if origin in (Union, types.UnionType):
            return self._read_union(arguments, value, path)
        if origin is Literal:
            # In Python True equals 1.
            if not any(value == word and type(value) is type(word) for word in arguments):
                self._refuse(path, f"must be {' or '.join(map(str, arguments))}", value)
            return value
        if dataclasses.is_dataclass(expected):
            return self._read_dataclass(expected, value, path)
        if origin in (tuple, list):
            return self._read_list(origin, arguments, value, path)
        if origin in (dict, Mapping):
            self._require(type(value) is dict, path, "a JSON object", value)
            return {
                self._read_key(arguments[0], key, path): self.read(
                    arguments[1], item, _joined(path, key)
                )
                for key, item in value.items()
            }
        return self._read_plain(expected, value, path)

    def _read_union(self, arguments: tuple[Any, ...], value: Any, path: str) -> Any:
        if value is None and type(None) in arguments:
            return None
        others = [argument for argument in arguments if argument is not type(None)]
        for argument in others[:-1]:
            try:
                return self.read(argument, value, path)
            except TypedJsonError:
                continue
        return self.read(others[-1], value, path)

    def _read_dataclass(self, cls: Any, value: Any, path: str) -> Any:
        self._require(type(value) is dict, path, "a JSON object", value)
        hints = fields_of(cls)
        for key in value:
            if key not in hints:
                known = f"is not a known field; the known ones are {', '.join(hints)}"
                raise TypedJsonError(_joined(path, key), known)
        read = {}
        for key, hint in hints.items():
            if key in value:
                read[key] = self.read(hint, value[key], _joined(path, key))
            elif not (self.allow_defaults and has_default(cls, key)):
                raise TypedJsonError(_joined(path, key), "is missing")
        return cls(**read)

    def _read_list(self, kind: Any, arguments: tuple[Any, ...], value: Any, path: str) -> Any:
        self._require(type(value) is list, path, "a list", value)
        if kind is list or arguments[-1] is ...:
            arguments = arguments[:1] * len(value)
        elif len(value) != len(arguments):
            self._refuse(path, f"must be a list of {len(arguments)}", value)
        return kind(
            self.read(argument, item, f"{path}[{index}]")
            for index, (argument, item) in enumerate(zip(arguments, value))
        )

    def _read_key(self, expected: Any, key: Any, path: str) -> Any:
        try:
            return self.read(expected, key, path)
        except TypedJsonError as error:
            reason = f"has a key that {error.reason}"
            raise TypedJsonError(path or self.name, reason) from None

    def _read_plain(self, expected: Any, value: Any, path: str) -> Any:
        # JSON has one kind of number; a bool would pass for an int only by inheritance.
        if expected is float and type(value) is int:
            self._require(abs(value) <= _LARGEST_NUMBER, path, "a finite number", value)
            value = float(value)
        self._require(type(value) is expected, path, _KINDS[expected], value)
        if expected is float:
            self._require(math.isfinite(value), path, "a finite number", value)
        if expected is int:
            self._require(abs(value) <= _LARGEST_INTEGER, path, "an integer of 64 bits", value)
        return value

    def _require(self, holds: bool, path: str, kind: str, value: Any) -> None:
        if not holds:
            self._refuse(path, f"must be {kind}", value)

    def _refuse(self, path: str, must: str, value: Any) -> NoReturn:
        shown = reprlib.repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        raise TypedJsonError(path or self.name, f"{must}, not {shown}") from None


def _joined(path: str, key: Any) -> str:
    """The path of a key that the file chose, fit for a message of one line."""
    text = repr(key)[1:-1] if isinstance(key, str) else repr(key)
    return f"{path}.{text}" if path else text
