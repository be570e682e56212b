"""What an ONNX model computes: its operators, and the values of their tensors for an image."""

from collections.abc import Collection

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Activations, Operator
from cxr_edge_runtime.engines.onnx import EXACT_INT8

# Their third input is a bias.
BIASED = ("Conv", "ConvTranspose", "Gemm")
WEIGHTED = (*BIASED, "MatMul")
# What ONNX Runtime's quantizer puts behind the name of a tensor that it quantized and took back.
_DEQUANTIZED = "_DequantizeLinear_Output"


def operators(graph: onnx.GraphProto) -> list[Operator]:
    """The operators of an ONNX graph, in the order in which they run."""
    constant = {value.name for value in graph.initializer}
    return [
        Operator(
            kind=node.op_type,
            inputs=tuple(name for name in node.input if name and name not in constant),
            outputs=tuple(node.output),
            weighted=node.op_type in WEIGHTED,
            takes_bias=node.op_type in BIASED,
        )
        for node in graph.node
    ]


class OnnxProbe:
    """Activations of an ONNX model; of a quantized one what its INT8 tensors stand for.

    Attributes:
        operators: of the graph, in the order in which they run.
        outputs: tensor names of the outputs.
    """

    def __init__(self, model: bytes, seen: Collection[str] | None = None) -> None:
        """Load a model.

        Args:
            model: the bytes of its file.
            seen: names of the tensors to show, as far as the model has them; all where None.
        """
        content = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
        self.operators = operators(content.graph)
        self.outputs = [value.name for value in content.graph.output]
        floats = {
            value.name
            for value in content.graph.value_info
            if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        }
        # A tensor that is quantized is looked at where it has been: asking for it before, or for
        # dequantized weights, would keep the engine from computing in INT8.
        hidden = {node.input[0] for node in content.graph.node if node.op_type == "QuantizeLinear"}
        inner = [
            name
            for operator in self.operators
            if operator.inputs
            for name in operator.outputs
            if name in floats - hidden and (seen is None or name.removesuffix(_DEQUANTIZED) in seen)
        ]
        self._names = [*self.outputs, *inner] if seen is None else inner
        for name in inner:
            content.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry(*EXACT_INT8)
        self._session = onnxruntime.InferenceSession(content.SerializeToString(), options)

    def __call__(self, image: NDArray[np.uint8]) -> Activations:
        """Run ``[1, H, W, 1] uint8``; see :data:`cxr_edge_convert.formats.graph.Probe`."""
        greys = image.astype(np.float32)
        values = dict(zip(self._names, self._session.run(self._names, {"image": greys})))
        values["image"] = greys
        # A quantized tensor is seen under its old name with the steps it has now.
        dequantized = {
            name.removesuffix(_DEQUANTIZED): value
            for name, value in values.items()
            if name.endswith(_DEQUANTIZED)
        }
        return values | dequantized
