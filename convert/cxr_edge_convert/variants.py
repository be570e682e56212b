"""Which variants of a model there are; light to import."""

from collections.abc import Sequence
from dataclasses import dataclass

from cxr_edge_runtime.errors import InvalidRequest

FORMATS = TFLITE, ONNX = "tflite", "onnx"
QUANTIZATIONS = FLOAT32, FLOAT16, DYNAMIC, INT8 = "float32", "float16", "dynamic", "int8"
# What the name of a variant with blocks in float ends in.
MIXED_SUFFIX = "-mixed"
# The processors that an ONNX INT8 model can be laid out for.
TARGETS = "arm64", "x86"


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to store and compute a model.

    Attributes:
        name: of the variant and its folder.
        format: ``tflite`` or ``onnx``.
        quantization: ``float32``, ``float16``, ``dynamic`` or ``int8``.
        target: the processors an ONNX INT8 model is laid out for, ``arm64`` or ``x86``.
    """

    name: str
    format: str
    quantization: str
    target: str | None = None

    @property
    def file(self) -> str:
        """Name of the model's file in a bundle."""
        return f"model.{self.format}"


def wanted_schemes(
    *, formats: Sequence[str], quantizations: Sequence[str], target: str
) -> list[Scheme]:
    """The variants to make, float32 first in each format.

    Args:
        formats: ``tflite``, ``onnx`` or both.
        quantizations: what to make besides ``float32``; ONNX has ``int8`` alone.
        target: the processors that an ONNX INT8 model is laid out for, ``arm64`` or ``x86``.

    Raises:
        InvalidRequest: no format is named, or a format or the target is unknown.
    """
    listed = list(formats) if isinstance(formats, list | tuple) else []
    if not listed or any(name not in FORMATS for name in listed):
        raise InvalidRequest(
            f"the formats must be one or more of {', '.join(FORMATS)}, not {formats!r}"
        )
    if target not in TARGETS:
        raise InvalidRequest(f"unknown target {target!r}; choose one of {', '.join(TARGETS)}")
    schemes: list[Scheme] = []
    if TFLITE in formats:
        schemes += [
            Scheme(name, TFLITE, name)
            for name in QUANTIZATIONS
            if name == FLOAT32 or name in quantizations
        ]
    if ONNX in formats:
        schemes.append(Scheme("onnx-float32", ONNX, FLOAT32))
        if INT8 in quantizations:
            schemes.append(Scheme(f"onnx-int8-{target}", ONNX, INT8, target))
    return schemes
