"""The strict reader of ``bundle.json``."""

import dataclasses
import json
import math
import re
import sys
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
from cxr_edge_runtime.errors import BundleInvalid, BundleTooNew
from cxr_edge_runtime.preprocess import PREPROCESS_VERSION, PreprocessSpec

# VGG16 in float32, the largest model we build, has 59 MB.
MAX_FILE_BYTES = 200_000_000
# A bundle has five.
MAX_FILES = 16
# Beyond it an integer of JSON has no double.
_LARGEST = sys.float_info.max


def parse_manifest(content: bytes, *, name: str = "bundle.json") -> Manifest:
    """Read and check a manifest.

    Args:
        content: the bytes of ``bundle.json``.
        name: what error messages call the file.

    Raises:
        BundleTooNew: written by a later cxr-edge.
        BundleInvalid: no JSON, or a field is missing, unknown, or of the wrong type or value.
    """
    try:
        values = json.loads(content, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise BundleInvalid(f"{name}: not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise BundleInvalid(f"{name}: must be a JSON object")
    version = values.get("schema_version")
    if type(version) is not int or version < 1:
        raise BundleInvalid(f"{name}: schema_version must be a positive integer, not {version!r}")
    if version > SCHEMA_VERSION:
        raise BundleTooNew(
            f"{name}: schema version {version}, this cxr-edge reads up to {SCHEMA_VERSION}; "
            "update cxr-edge"
        )
    manifest: Manifest = _read(Manifest, _migrated(values, name), "", name)
    _check(manifest, name)
    return manifest


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of two values for a key another reader might believe the other."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _migrated(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The manifest of an earlier version in the form of this one."""
    if values["schema_version"] == 1:
        if "outputs" in values:
            raise BundleInvalid(f"{name}: unknown field outputs")
        return values | {"outputs": list(OUTPUTS), "schema_version": SCHEMA_VERSION}
    return values


def _read(expected: Any, value: Any, where: str, name: str) -> Any:
    """``value`` as the type ``expected``, recursively; ``where`` is the path of keys so far."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(arguments[0], value, where, name)
    if isinstance(expected, type) and dataclasses.is_dataclass(expected):
        _require(isinstance(value, dict), where, "a JSON object", value, name)
        hints = get_type_hints(expected)
        for key in value:
            if key not in hints:
                raise BundleInvalid(f"{name}: unknown field {where}{_escaped(key)}")
        for key in hints:
            if key not in value:
                raise BundleInvalid(f"{name}: missing field {where}{key}")
        return expected(
            **{key: _read(hints[key], value[key], f"{where}{key}.", name) for key in hints}
        )
    if origin is tuple:
        _require(isinstance(value, list), where, "a list", value, name)
        return tuple(_read(arguments[0], item, where, name) for item in value)
    if origin is dict:
        _require(isinstance(value, dict), where, "a JSON object", value, name)
        return {
            key: _read(arguments[1], item, f"{where}{_escaped(key)}.", name)
            for key, item in value.items()
        }
    if expected is float and type(value) is int:
        _require(abs(value) <= _LARGEST, where, "a finite number", value, name)
        value = float(value)
    _require(type(value) is expected, where, expected.__name__, value, name)
    if expected is float:
        _require(math.isfinite(value), where, "a finite number", value, name)
    if expected is str:
        # Control characters would play tricks on a terminal, lone surrogates cannot be printed.
        readable = all(line.isprintable() for line in value.split("\n"))
        _require(readable, where, "text that can be printed", value, name)
    return value


def _escaped(key: str) -> str:
    """A key that the file chose, fit for a message of one line."""
    return repr(key)[1:-1]


def _require(condition: bool, where: str, expected: str, value: Any, name: str) -> None:
    if not condition:
        field = where.rstrip(".") or "the manifest"
        raise BundleInvalid(f"{name}: {field} must be {expected}, not {value!r}")


def _check(manifest: Manifest, name: str) -> None:
    """What the types alone do not say."""
    height, width = manifest.preprocess.height, manifest.preprocess.width
    kinds = CONTRACT_INPUTS.get(manifest.model.format, {})
    dtype, zero_point = kinds.get(manifest.model.quantization, (None, None))
    outputs = set(manifest.outputs)
    conditions = (
        (len(set(manifest.labels)) == 2 == len(manifest.labels), "labels must be two"),
        (manifest.positive_label in manifest.labels, "positive_label must be one of labels"),
        (manifest.model.file in manifest.files, "model.file must be listed in files"),
        (bool(kinds), f"model.format must be {' or '.join(CONTRACT_INPUTS)}"),
        (
            manifest.input.dtype == dtype,
            f"model.quantization must be {' or '.join(kinds)}, and input.dtype that of it",
        ),
        (
            "logit" in outputs <= set(OUTPUTS) and len(outputs) == len(manifest.outputs),
            f"outputs must be logit and any of {', '.join(OUTPUTS)}, each once",
        ),
        (
            all(0 <= entry.bytes <= MAX_FILE_BYTES for entry in manifest.files.values())
            and len(manifest.files) <= MAX_FILES,
            f"files must have 0 to {MAX_FILE_BYTES} bytes each and be at most {MAX_FILES}",
        ),
        (manifest.temperature > 0, "temperature must be positive"),
        (0 <= manifest.threshold.value <= 1, "threshold.value must lie between 0 and 1"),
        (0 < height <= 4096 and 0 < width <= 4096, "preprocess size must lie within 1 to 4096"),
        (
            manifest.preprocess.rule == PreprocessSpec().rule
            and manifest.preprocess.version == PREPROCESS_VERSION,
            "preprocess rule or version is not the one this cxr-edge has",
        ),
        (manifest.input.shape == (1, height, width, 1), "input.shape must be [1, H, W, 1]"),
        (manifest.input.scale == 1.0, "input.scale must be 1"),
        (
            manifest.input.zero_point == zero_point,
            "input.zero_point must be 0 for float32 and -128 for int8",
        ),
        *_gate_conditions(manifest),
        *(
            (
                name not in manifest.files or manifest.files[name].bytes <= most,
                f"{name} may have at most {most} bytes",
            )
            for name, most in (
                (SELFTEST_FILE, MAX_SELFTEST_BYTES),
                (REFERENCE_FILE, MAX_REFERENCE_BYTES),
            )
        ),
        (all(_is_plain(file) for file in manifest.files), "files must be plain names"),
    )
    for holds, message in conditions:
        if not holds:
            raise BundleInvalid(f"{name}: {message}")


def _gate_conditions(manifest: Manifest) -> list[tuple[bool, str]]:
    limits, file = manifest.gate, manifest.files.get(GATE_FILE)
    if limits is None:
        return []
    return [
        (0 < limits.suspicious <= limits.rejected, "gate must have 0 < suspicious <= rejected"),
        ("embedding" in manifest.outputs, "gate needs the output embedding"),
        (
            file is not None and file.bytes <= MAX_GATE_BYTES,
            f"gate needs {GATE_FILE} of at most {MAX_GATE_BYTES} bytes in files",
        ),
    ]


def _is_plain(file: str) -> bool:
    """A name without any folder, so that no bundle reaches outside its own."""
    return re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", file) is not None
