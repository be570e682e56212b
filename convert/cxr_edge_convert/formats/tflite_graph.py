"""What a TFLite model computes: its operators, and the values of their tensors for an image."""

import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Activations, Operator
from cxr_edge_runtime.errors import ConversionError
from cxr_edge_runtime.native_output import stderr_silenced

# Which input of an operator with weights is its bias; one kind has none.
BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_WEIGHTED = (*BIAS_INPUT, "BATCH_MATMUL")


def operators(model: bytes) -> list[Operator]:
    """The operators of a TFLite model, in the order in which they run."""
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = content.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    kinds = kinds_by_code(content)
    constant = [content.buffers[tensor.buffer].data is not None for tensor in graph.tensors]
    return [
        Operator(
            kind=kinds[operator.opcodeIndex],
            inputs=tuple(names[i] for i in operator.inputs if i >= 0 and not constant[i]),
            outputs=tuple(names[i] for i in operator.outputs),
            weighted=kinds[operator.opcodeIndex] in _WEIGHTED,
            takes_bias=kinds[operator.opcodeIndex] in BIAS_INPUT,
        )
        for operator in graph.operators
    ]


def kinds_by_code(content: Any) -> list[str]:
    """The kind of operator behind each code."""
    return [
        str(flatbuffer_utils.opcode_to_name(content, index))
        for index in range(len(content.operatorCodes))
    ]


class TfliteProbe:
    """Activations of a TFLite model, dequantized where they are INT8.

    Attributes:
        operators: of the graph, in the order in which they run.
        outputs: tensor names of the outputs.
        ranks: number of axes of each activation tensor.
    """

    def __init__(self, model: bytes, seen: Collection[str] | None = None) -> None:
        """Load a model.

        Args:
            model: the bytes of its file.
            seen: names of the tensors to show, as far as the model has them; all where None.
        """
        with stderr_silenced(), warnings.catch_warnings():
            # LiteRT warns that keeping all tensors costs memory; that is what is wanted here.
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter = Interpreter(
                model_content=model, num_threads=1, experimental_preserve_all_tensors=True
            )
            self._interpreter.allocate_tensors()
        self._runner = self._interpreter.get_signature_runner()
        self._offset = int(self._runner.get_input_details()["image"]["quantization"][1])
        self._dtype = self._runner.get_input_details()["image"]["dtype"]
        self.operators = operators(model)
        activations = {name for operator in self.operators for name in operator.inputs}
        activations |= {name for operator in self.operators for name in operator.outputs}
        self._details = {
            details["name"]: details
            for details in self._interpreter.get_tensor_details()
            if details["name"] in activations and (seen is None or details["name"] in seen)
        }
        self.outputs = [details["name"] for details in self._interpreter.get_output_details()]
        self.ranks = {name: len(details["shape"]) for name, details in self._details.items()}

    def __call__(self, image: NDArray[np.uint8]) -> Activations:
        """Run ``[1, H, W, 1] uint8``; see :data:`cxr_edge_convert.formats.graph.Probe`."""
        self._runner(image=(image.astype(np.int16) + self._offset).astype(self._dtype))
        return {name: self._values(details) for name, details in self._details.items()}

    def _values(self, details: dict[str, Any]) -> NDArray[np.float32]:
        try:
            values: NDArray[np.float32] = self._interpreter.get_tensor(details["index"])
        except ValueError as error:  # inside loops, as recurrent layers have them
            raise ConversionError(
                f"TFLite does not expose the values of {details['name']!r}, so INT8 cannot be "
                "calibrated; replace recurrent layers, or leave INT8 out"
            ) from error
        if values.dtype != np.float32:
            scale, zero_point = details["quantization"]
            values = (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return values
