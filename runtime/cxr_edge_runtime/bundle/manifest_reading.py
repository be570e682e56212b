"""The strict reader of ``bundle.json``."""

from collections.abc import Iterator
from typing import Any

from cxr_edge_runtime.bundle.labels import is_label
from cxr_edge_runtime.bundle.manifest import (
    CONTRACT_INPUTS,
    GATE_FILE,
    MAX_BYTES,
    MAX_LOCATOR_BYTES,
    OUTPUTS,
    SCHEMA_VERSION,
    AccuracyLoss,
    Manifest,
    locator_file,
)
from cxr_edge_runtime.errors import BundleInvalid, BundleTooNew
from cxr_edge_runtime.preprocess import LUNG_BOX_VERSION
from cxr_edge_runtime.typed_json import TypedJsonError, from_json, parse_json

# Two shares are the same that differ by no more.
_SAME_SHARE = 1e-6
# The fields that came with a version, and what they are in bundles of earlier ones.
_ADDED: dict[int, dict[str, Any]] = {
    2: {"outputs": list(OUTPUTS)},
    3: {
        "bias": 0.0,
        "prevalence": None,
        "ages": None,
        "locator": None,
        "one_level": None,
        "verification": None,
    },
}


def parse_manifest(content: bytes, *, name: str = "bundle.json") -> Manifest:
    """Read and check a manifest.

    Args:
        content: the bytes of ``bundle.json``.
        name: what error messages call the file.

    Raises:
        BundleTooNew: it was written by a later cxr-edge.
        BundleInvalid: it is not JSON, or a field is missing, unknown, or of the wrong type or
            value.
    """
    try:
        values = parse_json(content)
        if not isinstance(values, dict):
            raise BundleInvalid(f"{name}: must be a JSON object")
        manifest = from_json(Manifest, _migrated(values, name), name="the manifest")
    except TypedJsonError as error:
        raise BundleInvalid(f"{name}: {error}") from None
    _check(manifest, name)
    return manifest


def _migrated(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The manifest of an earlier version in the form of this one."""
    version = values.get("schema_version")
    if type(version) is not int or version < 1:
        raise BundleInvalid(f"{name}: schema_version must be a positive integer, not {version!r}")
    if version > SCHEMA_VERSION:
        raise BundleTooNew(
            f"{name}: schema version {version} is too new, this cxr-edge reads up to "
            f"{SCHEMA_VERSION}; update cxr-edge"
        )
    for later, fields in _ADDED.items():
        if version < later:
            for field in fields:
                if field in values:
                    raise BundleInvalid(
                        f"{name}: {field} is not a known field of schema version {version}"
                    )
            values = values | fields
    return {"site": None} | values | {"schema_version": SCHEMA_VERSION}


def _check(manifest: Manifest, name: str) -> None:
    """What no field says alone."""
    height, width = manifest.preprocess.height, manifest.preprocess.width
    kinds = CONTRACT_INPUTS[manifest.model.format]
    dtype, zero_point = kinds.get(manifest.model.quantization, (None, None))
    conditions = (
        (manifest.positive_label in manifest.labels, "positive_label must be one of labels"),
        (
            all(map(is_label, manifest.labels)),
            "labels must consist of letters, digits, ( ) . _ + - and single spaces between them",
        ),
        (
            len({label.casefold() for label in manifest.labels}) == len(manifest.labels),
            "labels must differ in more than upper and lower case",
        ),
        (manifest.model.file in manifest.files, "model.file must be listed in files"),
        (
            manifest.input.dtype == dtype,
            f"model.quantization must be {' or '.join(kinds)}, and input.dtype must match it",
        ),
        (
            manifest.input.zero_point == zero_point,
            "input.zero_point must be 0 for float32 and -128 for int8",
        ),
        (
            manifest.input.shape == (1, height, width, 1),
            "input.shape must be [1, H, W, 1] with the height and width of preprocess",
        ),
        (
            manifest.ages is None or manifest.ages.youngest <= manifest.ages.oldest,
            "ages.youngest must be at most ages.oldest",
        ),
        (manifest.preprocess.is_consistent, "preprocess.rule must match preprocess.version"),
        (
            (manifest.preprocess.version == LUNG_BOX_VERSION) == (manifest.locator is not None),
            f"a locator requires preprocess.version {LUNG_BOX_VERSION}, which requires a locator",
        ),
        *_locator_conditions(manifest),
        *_gate_conditions(manifest),
        *_measured_conditions(manifest),
        *(
            (
                file not in manifest.files or manifest.files[file].bytes <= most,
                f"{file} may have at most {most} bytes",
            )
            for file, most in MAX_BYTES.items()
        ),
    )
    for holds, message in conditions:
        if not holds:
            raise BundleInvalid(f"{name}: {message}")


def _locator_conditions(manifest: Manifest) -> list[tuple[bool, str]]:
    locator = manifest.locator
    if locator is None:
        return []
    file = locator_file(manifest.model.format)
    entry = manifest.files.get(file)
    return [
        (locator.file == file, f"locator.file must be {file}, in the model's format"),
        (entry is not None, f"locator needs {file} in files"),
        (
            entry is None or entry.bytes <= MAX_LOCATOR_BYTES,
            f"{file} may have at most {MAX_LOCATOR_BYTES} bytes",
        ),
    ]


def _gate_conditions(manifest: Manifest) -> list[tuple[bool, str]]:
    limits = manifest.gate
    if limits is None:
        return []
    return [
        (limits.suspicious <= limits.rejected, "gate.suspicious must be at most gate.rejected"),
        ("embedding" in manifest.outputs, "gate needs the output embedding"),
        (GATE_FILE in manifest.files, f"gate needs {GATE_FILE} in files"),
    ]


def _measured_conditions(manifest: Manifest) -> Iterator[tuple[bool, str]]:
    """What figures cannot be, whatever was measured."""
    for split, metrics in manifest.metrics.items():
        for name, metric in metrics.items():
            yield (
                metric.low <= metric.value <= metric.high,
                f"metrics.{split}.{name}: the value {metric.value:g} must lie within "
                f"its interval, {metric.low:g} to {metric.high:g}",
            )
    record = manifest.verification
    if record is None:
        return
    for key in ("loss", "default_session"):
        loss: AccuracyLoss | None = getattr(record, key)
        if loss is None:
            continue
        for label in ("recall", "specificity"):
            lost, images = getattr(loss, f"{label}_lost"), getattr(loss, f"{label}_images")
            yield (
                abs(lost) <= images,
                f"verification.{key}.{label}_lost must be at most {label}_images, {images}, "
                f"not {lost}",
            )
            yield (
                abs(getattr(loss, f"{label}_drop") - lost / max(1, images)) <= _SAME_SHARE,
                f"verification.{key}.{label}_drop must be {label}_lost / {label}_images, "
                f"{lost / max(1, images):g}",
            )
