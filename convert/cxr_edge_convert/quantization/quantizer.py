"""INT8 models of one float32 model: ranges, corrected biases, and how far their tensors are off."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import (
    Ranges,
    axes_within_a_channel,
    blocks,
    output_operators,
    scaling_tensors,
)
from cxr_edge_convert.formats.models import ModelProbe, biases, int8_model, probe_of, with_biases
from cxr_edge_convert.quantization.bias_correction import bias_corrections
from cxr_edge_convert.quantization.ranges import activation_ranges
from cxr_edge_convert.quantization.tensor_errors import TensorError, tensor_errors
from cxr_edge_convert.variants import ONNX, Scheme
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Calibration

# Calibration images whose tensors are compared with float's: more change means and rankings no
# longer.
COMPARED = 32


@dataclass(frozen=True, slots=True)
class Quantizer:
    """What makes the INT8 models of one scheme.

    Attributes:
        scheme: an INT8 scheme.
        float32: the model in the scheme's format.
        probe: of that model.
    """

    scheme: Scheme
    float32: bytes
    probe: ModelProbe

    @classmethod
    def of(cls, float32: bytes, scheme: Scheme) -> "Quantizer":
        """Prepare a quantizer for a float32 model."""
        return cls(scheme, float32, probe_of(float32, scheme.format))

    @property
    def blocks(self) -> list[tuple[str, ...]]:
        """The operators that may stay in float.

        See :func:`cxr_edge_convert.formats.graph.blocks`.
        """
        return blocks(
            self.probe.operators, output_operators(self.probe.operators, self.probe.outputs)
        )

    def ranges(self, pixels: NDArray[np.uint8], calibration: Calibration) -> Ranges:
        """The range of each tensor over images ``[N, H, W, 1] uint8``."""
        scaling = scaling_tensors(self.probe.operators)
        return activation_ranges(self.probe, pixels, scaling=scaling, calibration=calibration)

    def model(
        self,
        ranges: Ranges,
        pixels: NDArray[np.uint8],
        in_float: Collection[str] = (),
        progress: ProgressFactory = no_progress,
    ) -> bytes:
        """INT8 with corrected biases; what stays in float needs no correction.

        Args:
            ranges: from :meth:`ranges`.
            pixels: the images they were found on; the first :data:`COMPARED` correct the biases.
            in_float: names of operators that stay in float, besides the head.
            progress: shows how many operators were corrected.
        """

        format = self.scheme.format
        free = {operator.name for operator in self.probe.operators if operator.takes_bias}
        free -= set(in_float)
        corrected = [block for block in self.blocks if block[0] in free]
        before = self._channel_zeros([block[0] for block in corrected], pixels[:1])
        before |= {
            name: bias for name, bias in biases(self.float32, format).items() if name in before
        }

        def less(found: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
            return {name: before[name] - values for name, values in found.items()}

        def int8(new: Mapping[str, NDArray[np.float32]]) -> bytes:
            float32 = with_biases(self.float32, format, new)
            return int8_model(float32, self.scheme, ranges, in_float=in_float)

        # Quantizing takes long. So it is done twice, and between only biases are exchanged.
        start = int8(before)
        corrections = bias_corrections(
            self.probe,
            lambda found, seen: probe_of(with_biases(start, format, less(found)), format, seen),
            corrected,
            pixels[:COMPARED],
            channel_axis=self._channel_axis,
            progress=progress,
        )
        return int8(less(corrections))

    def _channel_zeros(
        self, operators: Collection[str], image: NDArray[np.uint8]
    ) -> dict[str, NDArray[np.float32]]:
        """A zero for each channel of these operators, whose outputs an image shows."""
        shown = self.probe(image)
        within = {
            name: axes_within_a_channel(shown[name], self._channel_axis) for name in operators
        }
        return {name: np.zeros_like(shown[name].sum(axis=axes)) for name, axes in within.items()}

    def errors(self, int8: bytes, pixels: NDArray[np.uint8]) -> tuple[TensorError, ...]:
        """How far the tensors of a model are from float, on the first :data:`COMPARED` images."""
        return tuple(
            tensor_errors(
                self.probe,
                probe_of(int8, self.scheme.format),
                self.probe.operators,
                pixels[:COMPARED],
                channel_axis=self._channel_axis,
            )
        )

    @property
    def _channel_axis(self) -> int:
        return 1 if self.scheme.format == ONNX else -1
