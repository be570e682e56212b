"""What docs/reference/ says is what the code says."""

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxr_edge_models
from cxr_edge_runtime.bundle.manifest import InputEntry, LocatorEntry, Manifest, ModelEntry
from cxr_edge_runtime.bundle.manifest_reading import parse_manifest
from cxr_edge_runtime.errors import BundleError
from cxr_edge_runtime.preprocess import PreprocessSpec
from scripts import ROOT, load_script

REFERENCE = ROOT / "docs" / "reference"
GOLDEN = ROOT / "tests" / "runtime" / "bundle" / "golden"
SCHEMA = json.loads((REFERENCE / "bundle.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(ROOT / "docs" / "tools"), *sys.path])
    make_reference = load_script("docs/tools/make_reference.py")


@pytest.mark.parametrize("name", make_reference.FILES)
def test_page_is_what_the_script_makes_of_the_code(name: str) -> None:
    made = make_reference.FILES[name]()
    same = (REFERENCE / name).read_text(encoding="utf-8") == made
    assert same, "run: python docs/tools/make_reference.py"


def manifest_of(folder: Path) -> Any:
    return json.loads((folder / "bundle.json").read_text(encoding="utf-8"))


def properties(schema: Any) -> set[str]:
    """Names of all fields of a schema, however deep."""
    if isinstance(schema, list):
        return set().union(*map(properties, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})) | properties(list(schema.values()))


def test_page_on_the_bundle_names_every_field() -> None:
    page = (REFERENCE / "bundle-format.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`([a-z_0-9.]+)`", page))
    # Those of these classes come from their docstrings.
    for documented in (Manifest, ModelEntry, InputEntry, PreprocessSpec, LocatorEntry):
        assert f".{documented.__name__}\n" in page
        listed |= {field.name for field in dataclasses.fields(documented)}
    assert properties(SCHEMA) <= listed


def test_schema_is_one() -> None:
    jsonschema_rs.meta.validate(SCHEMA)


@pytest.mark.parametrize("name", [*cxr_edge_models.names(), "bundle-v3"])
def test_bundle_of_this_version_satisfies_the_schema(name: str) -> None:
    frozen = name == "bundle-v3"
    VALIDATOR.validate(manifest_of(GOLDEN / name if frozen else cxr_edge_models.path(name)))


@pytest.mark.parametrize("version", ["bundle-v1", "bundle-v2"])
def test_golden_bundle_of_an_earlier_version_satisfies_the_schema_once_it_is_read(
    version: str,
) -> None:
    content = (GOLDEN / version / "bundle.json").read_bytes()
    assert not VALIDATOR.is_valid(json.loads(content))
    VALIDATOR.validate(json.loads(parse_manifest(content).to_json()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema_version", 4),
        ("bias", None),
        ("prevalence", 0),
        ("verification.looser", "none"),
        ("name", "a\x1b"),
        ("labels", ["NORMAL"]),
        ("labels", ["FLU", "FLU"]),
        ("files.model.tflite", {"sha256": "0", "bytes": -1}),
        ("files../x", {"sha256": "0", "bytes": 1}),
        ("files.gate.npz", {"sha256": "0", "bytes": 200_001}),
        ("files.selftest.npz", {"sha256": "0", "bytes": 6_000_001}),
        ("files.reference.npz", {"sha256": "0", "bytes": 100_001}),
        ("model.format", "pickle"),
        ("model.quantization", "int4"),
        ("input.dtype", "float32"),
        ("input.zero_point", 0),
        ("input.scale", 0.9),
        ("input.shape", [2, 160, 160, 1]),
        ("outputs", ["cam"]),
        ("outputs", ["logit", "logit", "embedding"]),
        ("outputs", ["logit"]),  # the gate needs the embedding
        ("preprocess.rule", "other"),
        ("preprocess.height", 5000),
        ("temperature", 0),
        ("threshold.value", 1.5),
        ("threshold.valeu", 0.5),
        ("gate.suspicious", 0),
        ("metrics", []),
        ("license", None),
    ],
)
def test_schema_refuses_what_a_schema_can_see(path: str, value: Any) -> None:
    content = manifest_of(cxr_edge_models.path("mobilenetv2-int8"))
    section, _, key = path.partition(".")
    if key:
        content[section][key] = value
    else:
        content[section] = value
    assert not VALIDATOR.is_valid(content)
    with pytest.raises(BundleError):
        parse_manifest(json.dumps(content).encode())


def places(content: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values of a JSON document."""
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    found = []
    for key, value in inside:
        found.append((*above, key))
        if isinstance(value, dict | list):
            found += places(value, (*above, key))
    return found


SHIPPED = manifest_of(cxr_edge_models.path("mobilenetv2-int8"))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False, width=32)
WORDS = st.text(max_size=5) | st.sampled_from(["logit", "cam", "int8", "float32", "onnx", "tflite"])
JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, -128, 160, 4096, 4097]) | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
GONE = object()


@given(
    st.lists(
        st.tuples(st.sampled_from(places(SHIPPED)), JSON | st.just(GONE)), min_size=1, max_size=2
    ),
    st.none() | st.tuples(st.sampled_from(["", "files", "model", "gate", "metrics"]), WORDS, JSON),
)
def test_what_the_schema_refuses_the_reader_refuses_too(
    changes: list[tuple[tuple[Any, ...], Any]], added: tuple[str, str, Any] | None
) -> None:
    content = json.loads(json.dumps(SHIPPED))
    if added is not None:
        section, key, value = added
        (content[section] if section else content)[key] = value
    for (*above, last), value in changes:
        holder = content
        try:
            for key in above:
                holder = holder[key]
            if value is GONE:
                del holder[last]
            else:
                holder[last] = value
        except (IndexError, KeyError, TypeError):  # an earlier change took it away
            pass
    try:
        parse_manifest(json.dumps(content).encode())
    except BundleError:
        return
    assert VALIDATOR.is_valid(content), [error.message for error in VALIDATOR.iter_errors(content)]
