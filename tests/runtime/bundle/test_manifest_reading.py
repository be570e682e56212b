import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime.bundle.manifest import SCHEMA_VERSION, Ages, InputEntry, LocatorEntry
from cxr_edge_runtime.bundle.manifest_reading import parse_manifest
from cxr_edge_runtime.errors import BundleError, BundleInvalid, BundleTooNew

GOLDEN = Path(__file__).parent / "golden" / "bundle-v1" / "bundle.json"


def values() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


def encoded(content: Any) -> bytes:
    return json.dumps(content).encode()


VERIFICATION: dict[str, Any] = {
    "limits": {"recall_drop": 0.01, "specificity_drop": 0.02, "auc_drop": 0.005, "agreement": 0.98},
    "looser": [],
    "loss": {
        "recall_drop": -0.001, "recall_lost": -1, "recall_images": 1000,
        "recall_drop_bound": 0.004, "specificity_drop": 0.0, "specificity_lost": 0,
        "specificity_images": 200, "auc_drop": 0.0001, "agreement": 0.99,
    },
    "default_session": None,
    "failures": [],
    "warnings": ["a warning"],
    "processor": "x86_64 avx2",
}  # fmt: skip


def version_3(**changes: Any) -> dict[str, Any]:
    """The newest golden manifest with what schema 3 added."""
    content = json.loads((GOLDEN.parents[1] / "bundle-v2" / "bundle.json").read_text())
    added = {
        "schema_version": 3, "bias": -0.5, "prevalence": 0.74, "verification": VERIFICATION,
        "ages": {"youngest": 1.0, "oldest": 5.0},
        "one_level": {"logit": 0.25, "distance": 0.5, "films": 100},
        "locator": None,
    }  # fmt: skip
    return content | added | changes


LOCATOR: dict[str, Any] = {"file": "locator.tflite", "version": 1, "margin": 1.2}
LUNG_BOX: dict[str, Any] = {
    "height": 32, "width": 32, "rule": "lung-box-squash-bicubic", "version": 2
}  # fmt: skip


def with_locator(*, n_bytes: int = 1_000_000, **changes: Any) -> dict[str, Any]:
    """What version 3 says of a bundle with a lung locator."""
    entry = {"sha256": "0" * 64, "bytes": n_bytes}
    return {
        "preprocess": LUNG_BOX,
        "locator": LOCATOR | changes,
        "files": version_3()["files"] | {"locator.tflite": entry},
    }


def test_manifest_with_a_locator_reads_and_writes_back_the_same() -> None:
    content = version_3(**with_locator())
    manifest = parse_manifest(encoded(content))
    assert manifest.locator == LocatorEntry("locator.tflite", 1, 1.2)
    assert json.loads(manifest.to_json()) == content


def test_manifest_of_version_3_reads_and_writes_back_the_same() -> None:
    manifest = parse_manifest(encoded(version_3()))
    assert (manifest.bias, manifest.prevalence) == (-0.5, 0.74)
    assert not manifest.is_rejected
    assert json.loads(manifest.to_json()) == version_3()


def test_golden_manifest_of_version_2_states_no_prevalence_and_no_verification() -> None:
    content = (GOLDEN.parents[1] / "bundle-v2" / "bundle.json").read_bytes()
    manifest = parse_manifest(content)
    assert (manifest.bias, manifest.prevalence, manifest.verification) == (0.0, None, None)
    unknown = {
        "bias": 0.0, "prevalence": None, "ages": None, "one_level": None, "locator": None,
        "verification": None, "schema_version": 3,
    }  # fmt: skip
    assert json.loads(manifest.to_json()) == json.loads(content) | unknown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": None}, "bias must be a number"),
        ({"bias": 1e9}, "bias must be at most 1000000"),
        (
            {"verification": VERIFICATION | {"loss": VERIFICATION["loss"] | {"recall_lost": 1001}}},
            r"verification\.loss\.recall_lost must be at most recall_images, 1000, not 1001",
        ),
        (
            {
                "verification": VERIFICATION
                | {"default_session": VERIFICATION["loss"] | {"specificity_lost": -201}}
            },
            r"verification\.default_session\.specificity_lost must be at most",
        ),
        ({"prevalence": 0}, "prevalence must be at least 0.0001"),
        ({"prevalence": 1}, "prevalence must be at most 0.9999"),
        ({"ages": {"youngest": 5.0, "oldest": 1.0}}, r"ages\.youngest must be at most ages\.old"),
        ({"ages": {"youngest": -1.0, "oldest": 1.0}}, r"ages\.youngest must be at least 0"),
        ({"one_level": {"logit": -1.0, "distance": None, "films": 1}}, r"logit must be at least"),
        ({"one_level": {"logit": 1.0, "distance": None, "films": 0}}, r"films must be at least"),
        (
            {"verification": VERIFICATION | {"looser": "all"}},
            r"verification\.looser must be a list",
        ),
        (
            {"verification": VERIFICATION | {"loss": VERIFICATION["loss"] | {"recall_drop": -0.1}}},
            r"verification\.loss\.recall_drop must be recall_lost / recall_images, -0\.001",
        ),
        (
            {"locator": LOCATOR},
            r"a locator requires preprocess\.version 2, which requires a "
            "locator",
        ),
        (
            {"preprocess": LUNG_BOX},
            r"a locator requires preprocess\.version 2, which requires a "
            "locator",
        ),
        (
            {"preprocess": LUNG_BOX | {"rule": "squash-bicubic"}, "locator": LOCATOR},
            r"preprocess\.rule must match preprocess\.version",
        ),
        (
            with_locator(file="model.tflite"),
            r"locator\.file must be locator\.tflite, in the model's format",
        ),
        (
            with_locator(file="locator.onnx"),
            r"locator\.file must be locator\.tflite, in the model's format",
        ),
        (
            with_locator(version=2),
            r"locator\.version must be 1, the only version that this cxr-edge supports",
        ),
        (with_locator(margin=0.9), r"locator\.margin must be at least 1, not 0\.9"),
        (with_locator(margin=3.1), r"locator\.margin must be at most 3, not 3\.1"),
        (
            {"preprocess": LUNG_BOX, "locator": LOCATOR},
            r"locator needs locator\.tflite in files",
        ),
        (with_locator(n_bytes=1_000_001), r"locator\.tflite may have at most 1000000 bytes"),
        ({"version": "signed"}, "version must be a version: a digit, then at most 63"),
        (
            {"verification": VERIFICATION | {"failures": ["\x1b[31m"]}},
            r"verification\.failures\[0\] must be .*print",
        ),
    ],
)
def test_what_version_3_added_is_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleInvalid, match=message):
        parse_manifest(encoded(version_3(**changes)))


def test_ages_are_told_in_tenths_of_years() -> None:
    assert str(Ages(1.0, 5.0)) == "1 to 5 years"
    assert str(Ages(1e-5, 0.5)) == "0 to 0.5 years"


def test_rejected_bundle_is_known_by_its_failures_and_before_version_3_by_its_name() -> None:
    failed = version_3(verification=VERIFICATION | {"failures": ["recall fell by 0.5"]})
    assert parse_manifest(encoded(failed)).is_rejected
    assert parse_manifest(encoded(values() | {"name": "tiny-int8-rejected"})).is_rejected
    assert not parse_manifest(encoded(values())).is_rejected


def test_manifest_of_version_1_has_all_outputs() -> None:
    content = values()
    assert content["schema_version"] == 1
    manifest = parse_manifest(encoded(content))
    assert (manifest.schema_version, manifest.outputs) == (3, ("cam", "logit", "embedding"))
    content |= {"schema_version": 2, "outputs": ["cam", "logit", "embedding"]}
    assert parse_manifest(encoded(content)) == manifest


def test_a_version_cannot_say_what_a_later_one_can() -> None:
    with pytest.raises(BundleInvalid, match="outputs is not a known field of schema version 1"):
        parse_manifest(encoded(values() | {"outputs": ["logit"]}))
    with pytest.raises(BundleInvalid, match="prevalence is not a known field of schema version 2"):
        content = version_3(schema_version=2)
        del content["bias"], content["verification"], content["ages"], content["one_level"]
        parse_manifest(encoded(content))


@pytest.mark.parametrize(
    ("format", "quantization", "dtype"),
    [
        ("tflite", "float32", "float32"),
        ("tflite", "float16", "float32"),
        ("tflite", "dynamic", "float32"),
        ("tflite", "int8", "int8"),
        ("onnx", "float32", "float32"),
        ("onnx", "int8", "float32"),
    ],
)
def test_input_follows_from_format_and_quantization(
    format: str, quantization: str, dtype: str
) -> None:
    content = values()
    content["model"] |= {"format": format, "quantization": quantization}
    content["input"] |= {"dtype": dtype, "zero_point": -128 if dtype == "int8" else 0}
    manifest = parse_manifest(encoded(content))
    assert InputEntry.of_contract(format, quantization, manifest.preprocess) == manifest.input
    content["input"]["dtype"] = "float32" if dtype == "int8" else "int8"
    with pytest.raises(BundleInvalid, match=r"input\.dtype must match it"):
        parse_manifest(encoded(content))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], "outputs must contain logit"),
        (["cam"], "outputs must contain logit"),
        (["logit", "logit"], "outputs must not repeat an entry"),
        (["logit", "other"], r"outputs\[1\] must be cam or logit or embedding, not 'other'"),
    ],
)
def test_outputs_are_those_of_the_contract(outputs: list[str], message: str) -> None:
    content = values() | {"schema_version": 2, "outputs": outputs}
    with pytest.raises(BundleInvalid, match=message):
        parse_manifest(encoded(content))


def test_gate_needs_the_embedding_that_it_judges() -> None:
    content = values() | {"schema_version": 2, "outputs": ["cam", "logit"]}
    assert parse_manifest(encoded(content)).gate is None
    content["gate"] = {"suspicious": 1.0, "rejected": 2.0}
    content["files"]["gate.npz"] = {"sha256": "0" * 64, "bytes": 200_000}
    with pytest.raises(BundleInvalid, match="gate needs the output embedding"):
        parse_manifest(encoded(content))
    content["outputs"].append("embedding")
    assert parse_manifest(encoded(content)).gate is not None
    content["files"]["gate.npz"]["bytes"] += 1
    with pytest.raises(BundleInvalid, match=r"gate\.npz may have at most 200000 bytes"):
        parse_manifest(encoded(content))


def test_newer_schema_is_refused_in_one_clear_line() -> None:
    # A later version may have any other fields; only its number counts.
    content = encoded({"schema_version": SCHEMA_VERSION + 1, "something": "new"})
    with pytest.raises(BundleTooNew, match=r"reads up to \d+; update cxr-edge") as caught:
        parse_manifest(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'{"a": 1, "b": {"c": 1, "c": 2}}'],
)
def test_broken_json_is_refused(content: bytes) -> None:
    with pytest.raises(BundleInvalid, match="not valid JSON"):
        parse_manifest(content)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"bundle"'])
def test_json_that_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(BundleInvalid, match=r"bundle\.json: must be a JSON object"):
        parse_manifest(content)


@pytest.mark.parametrize("field", sorted(values()))
def test_each_missing_field_is_named(field: str) -> None:
    content = values()
    del content[field]
    with pytest.raises(BundleInvalid, match=field):
        parse_manifest(encoded(content))


def test_unknown_field_is_named() -> None:
    content = values()
    content["threshold"]["valeu"] = 0.5
    with pytest.raises(BundleInvalid, match=r"threshold\.valeu is not a known field; the known"):
        parse_manifest(encoded(content))


@pytest.mark.parametrize("section", ["threshold", "files", "metrics"])
def test_line_break_in_a_key_stays_out_of_the_message(section: str) -> None:
    content = values()
    content[section]["a\nb"] = 1
    with pytest.raises(BundleInvalid, match=r"a\\nb") as caught:
        parse_manifest(encoded(content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("temperature",), "1.5", "temperature must be a number, not '1.5'"),
        (("temperature",), 0, "temperature must be at least 0.001, not 0"),
        (("temperature",), 1e9, "temperature must be at most 1000, not 1000000000.0"),
        (("temperature",), float("nan"), "temperature must be a finite number"),
        (("threshold", "value"), 1.5, "threshold.value must be at most 1, not 1.5"),
        (("threshold",), [], "threshold must be a JSON object"),
        (("labels",), ["NORMAL"], "labels must have 2 or more entries"),
        (("labels",), "NORMAL", "labels must be a list"),
        (("positive_label",), "FLU", "positive_label must be one of labels"),
        (("model", "file"), "other.tflite", "model.file must be listed in files"),
        (("input", "scale"), 0.9, "input.scale must be 1"),
        (("input", "zero_point"), 0, "-128 for int8"),
        (("model", "format"), "pickle", "model.format must be tflite or onnx"),
        (("input", "dtype"), "uint8", "input.dtype must match it"),
        (
            ("model", "quantization"),
            "banana",
            "must be float32 or float16 or dynamic or int8",
        ),
        (("labels",), ["FLU", "FLU"], "labels must not repeat an entry"),
        (("temperature",), 10**400, "temperature must be a finite number"),
        (
            ("files", "model.tflite", "bytes"),
            -2,
            "tflite.bytes must be at least 0, not",
        ),
        (("input", "shape"), [2, 32, 32, 1], r"input.shape\[0\] must be 1, not 2"),
        (("input", "shape"), [1, 32, 33, 1], r"input.shape must be \[1, H, W, 1\] with the height"),
        (
            ("preprocess", "version"),
            99,
            "preprocess.version must be 1 or 2",
        ),
        (("preprocess", "height"), 10**6, "preprocess.height must be at most 4096"),
        (("schema_version",), True, "schema_version must be a positive integer"),
        (("schema_version",), 0, "schema_version must be a positive integer"),
        (("metrics",), [], "metrics must be a JSON object"),
        (("metrics", "validation", "auc", "value"), 7, "auc.value must be at most 1, not 7"),
        (("metrics", "validation", "auc", "low"), -0.1, "auc.low must be at least 0, not -0.1"),
        (("metrics", "validation", "auc", "high"), 9, "auc.high must be at most 1, not 9"),
        (
            ("metrics", "validation", "auc", "high"),
            0.3,
            "auc: the value 0.5 must lie within its interval",
        ),
        (
            ("metrics", "validation", "auc", "low"),
            0.55,
            "auc: the value 0.5 must lie within its interval, 0.55 to 0.6",
        ),
        (("metrics", "validation", "auc", "n"), -1, "auc.n must be at least 1, not -1"),
        (("metrics", "validation", "auc", "n"), 2.5, "auc.n must be an integer, not 2.5"),
        (("metrics", "sig ned"), {}, r"metrics has a key that must be a name .*not 'sig ned'"),
        (("metrics", "test"), {"a: b": {}}, r"metrics.test has a key that must be a name"),
        (("labels",), ["PNEUMONIA", "Pneumonia"], "labels must differ in more than upper"),
        (("labels",), ["NORMAL", "PNEU,MONIA"], r"labels\[1\] must be at most 32 letters"),
        (("labels",), ["NORMAL", "=PNEUMONIA"], r"labels\[1\] must be at most 32 letters"),
        (("labels",), ["NORMAL", "PNEU\u202eMONIA"], r"labels\[1\] must be"),
        (("labels",), ["NORMAL", "P" * 33], r"labels\[1\] must be at most 32 letters"),
        (("name",), "x" * 129, "name must be a name of at most 128"),
        (("name",), "t\u0456ny", "name must be a name of at most 128"),
        (("calibration", "count"), -1, "calibration.count must be at least 0"),
        (("calibration", "digest"), "d", "calibration.digest must be a SHA-256"),
        (("training", "dataset_digest"), "d" * 65, "dataset_digest must be a SHA-256"),
        (("training", "versions"), {"python": "3\n"}, "versions.python must be a name"),
        (("intended_use",), "x" * 2001, "intended_use must be one line of at most 2000 characters"),
        (("notice",), "Approved for clinical use.", 'notice must be "Research use only. Not a'),
        (("license",), "", "license must be an SPDX name or expression"),
        (("gate",), {"suspicious": 0, "rejected": 1}, "gate.suspicious must be above 0"),
        (("gate",), {"suspicious": 2, "rejected": 1}, "gate.suspicious must be at most gate.rej"),
        (("gate",), {"suspicious": 1, "rejected": 1}, "gate needs gate.npz in files"),
    ],
)
def test_wrong_value_is_named(path: tuple[str, ...], value: Any, message: str) -> None:
    content = values()
    target = content
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(BundleInvalid, match=message):
        parse_manifest(encoded(content))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a\\b", "..", "", "C:x", "a\0", "\ud800", ".x"]
)
def test_no_file_reaches_outside_the_bundle(name: str) -> None:
    content = values()
    content["files"][name] = content["files"]["MODEL_CARD.md"]
    with pytest.raises(BundleInvalid, match="files has a key that must be a plain file name"):
        parse_manifest(encoded(content))


def test_bundle_has_few_files() -> None:
    content = values()
    for number in range(16):
        content["files"][f"file{number}"] = content["files"]["MODEL_CARD.md"]
    with pytest.raises(BundleInvalid, match="files must have 16 or fewer keys"):
        parse_manifest(encoded(content))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(values())), JSON)
def test_any_value_in_any_field_reads_or_raises_bundle_errors_only(field: str, value: Any) -> None:
    content = copy.deepcopy(values())
    content[field] = value
    try:
        parse_manifest(encoded(content))
    except BundleError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["\ud800", "\x1b]0;owned\x07", "a\rb"])
def test_text_that_cannot_be_printed_is_refused(text: str) -> None:
    with pytest.raises(BundleInvalid, match="notice must be text that can be printed"):
        parse_manifest(encoded(values() | {"notice": text}))
