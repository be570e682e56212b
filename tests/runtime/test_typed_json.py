import doctest
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime import typed_json
from cxr_edge_runtime.typed_json import (
    PRINTABLE,
    Bounds,
    TypedJsonError,
    from_json,
    json_schema,
    parse_json,
)


@dataclass(frozen=True, slots=True)
class Inner:
    """A part.

    Attributes:
        n: how many,
            over two lines.
    """

    n: int
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Everything:
    """One field of each kind. And more.

    This is not in the schema.
    """

    text: Annotated[str, PRINTABLE]
    flag: bool
    nothing: None
    anything: Any
    word: Literal["a", "b", 1]
    maybe: Inner | None
    either: int | str
    parts: tuple[Inner, ...]
    pair: tuple[str, float]
    numbers: list[Annotated[float, Bounds(minimum=0, maximum=1)]]
    by_name: Mapping[Annotated[str, Bounds(pattern="[a-z]+", must="be lower case")], Inner]
    counts: dict[str, int] = field(default_factory=dict)


WHOLE = Everything(
    text="words\nand words", flag=True, nothing=None, anything=[1, {}], word="a",
    maybe=Inner(1, 0.25), either="x", parts=(Inner(2, 1.0),), pair=("x", 2.0), numbers=[0.0, 1.0],
    by_name={"a": Inner(3, 0.0)}, counts={"k": 4},
)  # fmt: skip


def values() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(asdict(WHOLE)))
    return content


def test_example_in_the_docstring_is_true() -> None:
    assert doctest.testmod(typed_json).failed == 0
    assert doctest.testmod(typed_json).attempted > 3


def test_what_was_written_is_read_back_equal_with_its_types() -> None:
    read = from_json(Everything, parse_json(json.dumps(asdict(WHOLE))))
    assert read == WHOLE
    assert repr(read) == repr(WHOLE)


def test_import_loads_no_numpy() -> None:
    program = "import sys, cxr_edge_runtime.typed_json; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("text", 1, "text must be text, not 1"),
        ("text", "a\x1b[2J", "text must be text that can be printed, not 'a\\x1b[2J'"),
        ("text", "\ud800", "text must be text that can be printed"),
        ("flag", 1, "flag must be true or false, not 1"),
        ("nothing", 0, "nothing must be null, not 0"),
        ("word", "c", "word must be a or b or 1, not 'c'"),
        ("word", True, "word must be a or b or 1, not True"),
        ("word", {}, "word must be a or b or 1, not {}"),
        ("maybe", [], "maybe must be a JSON object, not []"),
        ("maybe", {"n": True, "share": 0}, "maybe.n must be an integer, not True"),
        ("maybe", {"n": 1.0, "share": 0}, "maybe.n must be an integer, not 1.0"),
        ("maybe", {"n": 2**63, "share": 0}, "maybe.n must be an integer of 64 bits"),
        ("maybe", {"n": 1}, "maybe.share is missing"),
        (
            "maybe",
            {"n": 1, "share": 0, "sh\nare": 1},
            "maybe.sh\\nare is not a known field; the known ones are n, share",
        ),
        ("either", 1.5, "either must be text, not 1.5"),
        ("parts", {}, "parts must be a list, not {}"),
        ("parts", [values()["maybe"], {}], "parts[1].n is missing"),
        ("pair", ["x"], "pair must be a list of 2, not ['x']"),
        ("pair", ["x", "y"], "pair[1] must be a number, not 'y'"),
        ("pair", ["x", math.nan], "pair[1] must be a finite number, not nan"),
        ("pair", ["x", -math.inf], "pair[1] must be a finite number, not -inf"),
        ("pair", ["x", 10**400], "pair[1] must be a finite number, not 1000"),
        ("pair", ["x", True], "pair[1] must be a number, not True"),
        ("numbers", [0, 1.5], "numbers[1] must be at most 1, not 1.5"),
        ("numbers", [-1], "numbers[0] must be at least 0, not -1"),
        ("by_name", {"B": {}}, "by_name has a key that must be lower case, not 'B'"),
        ("counts", {"a\nb": "1"}, "counts.a\\nb must be an integer, not '1'"),
    ],
)
def test_what_the_annotations_do_not_say_is_refused_with_its_place(
    key: str, value: Any, message: str
) -> None:
    with pytest.raises(TypedJsonError) as caught:
        from_json(Everything, values() | {key: value})
    assert str(caught.value).startswith(message)
    assert str(caught.value) == f"{caught.value.path} {caught.value.reason}"
    assert "\n" not in str(caught.value)
    schema_sees = not isinstance(value, str) and "64 bits" not in message
    if schema_sees and not any(word in message for word in ("finite", "not 1.0")):
        assert not jsonschema_rs.is_valid(json_schema(Everything), values() | {key: value})


@pytest.mark.parametrize("key", [entry.name for entry in fields(Everything)])
def test_missing_field_is_named_unless_it_has_a_default_that_is_allowed(key: str) -> None:
    content = values()
    del content[key]
    with pytest.raises(TypedJsonError, match=f"^{key} is missing$"):
        from_json(Everything, content)
    if key == "counts":
        assert from_json(Everything, content, allow_defaults=True).counts == {}
    else:
        with pytest.raises(TypedJsonError, match=f"^{key} is missing$"):
            from_json(Everything, content, allow_defaults=True)


def test_defaults_are_allowed_at_any_depth_or_at_none() -> None:
    content = values() | {"maybe": {"n": 1}}
    read = from_json(Everything, content, allow_defaults=True)
    assert read.maybe == Inner(1, 0.5)
    assert jsonschema_rs.is_valid(json_schema(Everything, allow_defaults=True), content)
    assert not jsonschema_rs.is_valid(json_schema(Everything), content)


def test_whole_that_is_no_object_is_called_by_its_name() -> None:
    with pytest.raises(TypedJsonError, match=r"^the manifest must be a JSON object, not \[\]$"):
        from_json(Inner, [], name="the manifest")


def test_part_of_a_file_is_read_by_any_annotation_and_knows_its_place() -> None:
    assert from_json(tuple[Inner, ...], [{"n": 1, "share": 1}], path="flow") == (Inner(1, 1.0),)
    assert from_json(float, 3) == 3.0
    with pytest.raises(TypedJsonError, match=r"^flow\[1\]\.n must be an integer, not 'x'$"):
        from_json(tuple[Inner, ...], [{"n": 1, "share": 1}, {"n": "x", "share": 1}], path="flow")
    with pytest.raises(TypedJsonError, match=r"^flow must be a list, not \{\}$"):
        from_json(tuple[Inner, ...], {}, name="the report", path="flow")


def test_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(TypedJsonError) as caught:
        from_json(Inner, {"n": ["x" * 1000] * 1000, "share": 1})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("limits", "good", "bad", "message"),
    [
        (Bounds(minimum=1), 1, 0, "be at least 1"),
        (Bounds(maximum=1), 1, 2, "be at most 1"),
        (Bounds(above=0), 1, 0, "be above 0"),
        (Bounds(const=2), 2, 3, "be 2"),
        (Bounds(const="x"), "x", "y", 'be "x"'),
        (Bounds(choices=("x", "y")), "y", "z", "be x or y"),
        (Bounds(pattern="a+"), "aa", "aa\n", "match a+"),
        (Bounds(min_items=1), [1], [], "have 1 or more entries"),
        (Bounds(max_items=1), [1], [1, 2], "have 1 or fewer entries"),
        (Bounds(max_keys=1), {"a": 1}, {"a": 1, "b": 1}, "have 1 or fewer keys"),
        (Bounds(unique=True), [1, 2], [1, 1], "not repeat an entry"),
        (Bounds(contains="x"), ["x", "y"], ["y"], "contain x"),
        (Bounds(above=0, must="be positive"), 1, 0, "be positive"),
    ],
)
def test_limit_is_the_same_for_the_reader_and_in_the_schema(
    limits: Bounds, good: Any, bad: Any, message: str
) -> None:
    assert limits.broken_rule(good) is None
    assert limits.broken_rule(bad) == message
    schema = json_schema(Annotated[Any, limits])
    assert jsonschema_rs.is_valid(schema, good)
    assert not jsonschema_rs.is_valid(schema, bad)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'{"a": 1, "b": {"c": 1, "c": 2}}'],
)
def test_broken_json_is_one_error(content: bytes) -> None:
    with pytest.raises(TypedJsonError, match=r"^the text is not valid JSON"):
        parse_json(content)


@dataclass(frozen=True)
class Chain:
    """Of itself."""

    next: "Chain | None"


def test_values_nested_too_deeply_are_one_error() -> None:
    content: Any = None
    for _ in range(100_000):
        content = {"next": content}
    with pytest.raises(TypedJsonError, match="the chain is nested too deeply"):
        from_json(Chain, content, name="the chain")
    while content:  # by steps: Python would free it recursively
        content = content["next"]


def test_schema_has_the_docstrings_words() -> None:
    schema = json_schema(Everything)
    jsonschema_rs.meta.validate(schema)
    assert schema["description"] == "One field of each kind. And more."
    inner = schema["properties"]["parts"]["items"]
    assert inner["properties"]["n"] == {
        "description": "how many, over two lines.",
        "type": "integer",
    }
    assert inner["required"] == ["n", "share"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside),
    max_leaves=6,
)
NAMES = [entry.name for entry in fields(Everything)]


@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON)))
def test_any_json_is_read_or_refused_in_one_line(content: Any) -> None:
    try:
        from_json(Everything, content)
    except TypedJsonError as error:
        assert "\n" not in str(error)


@given(st.sampled_from(NAMES), JSON)
def test_what_the_schema_refuses_the_reader_refuses(name: str, value: Any) -> None:
    content = values() | {name: value}
    try:
        json.dumps(content, allow_nan=False).encode()
        read = from_json(Everything, content)
    except ValueError:
        return
    assert jsonschema_rs.is_valid(json_schema(Everything), content)
    assert json.loads(json.dumps(asdict(read))) == content


FINITE = st.floats(allow_nan=False, allow_infinity=False)
INNERS = st.builds(Inner, st.integers(-(2**63) + 1, 2**63 - 1), FINITE)


@given(
    st.builds(
        Everything,
        text=st.text("ab\n é", max_size=5), flag=st.booleans(), nothing=st.none(),
        anything=st.none(), word=st.sampled_from(["a", "b", 1]), maybe=st.none() | INNERS,
        either=st.integers(0, 9) | st.text(max_size=3), parts=st.lists(INNERS).map(tuple),
        pair=st.tuples(st.text(max_size=3), st.floats(0, 1)), numbers=st.lists(st.floats(0, 1)),
        by_name=st.dictionaries(st.text("abc", min_size=1), INNERS),
        counts=st.dictionaries(st.text(max_size=3), st.integers(0, 9)),
    )
)  # fmt: skip
def test_every_value_survives_the_way_to_json_and_back(whole: Everything) -> None:
    assert from_json(Everything, parse_json(json.dumps(asdict(whole)))) == whole
