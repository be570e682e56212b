"""An ONNX model with other constants: kernels in INT8, corrected biases."""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import integer_bias
from cxr_edge_convert.formats.onnx_graph import BIASED

# What ONNX Runtime's quantizer puts behind the name of a constant that it quantized.
_QUANTIZED = "_quantized"


def to_weight_only(float32: bytes) -> bytes:
    """Store kernels of convolutions in INT8, a step per output channel; computing is in float.

    Args:
        float32: from :func:`cxr_edge_convert.formats.onnx.to_float32`.

    Returns:
        The file, with a cast and a multiplication before each convolution. ONNX Runtime computes
        these once, when it loads the file. ``DequantizeLinear`` it would keep for the sake of INT8
        operators and run for every film, and lay out no kernel for speed: 3.2 ms instead of 1.2.
    """
    model = onnx.load_from_string(float32)
    constants = {constant.name: constant for constant in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        name = node.input[1] if node.op_type == "Conv" else ""
        if name in constants:
            kernel = onnx.numpy_helper.to_array(constants[name])
            steps = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / np.float32(127)
            steps[steps == 0] = 1  # a channel of zeros
            stored, whole, step, taken_back = (
                f"{name}_{part}" for part in ("int8", "whole", "step", "float")
            )
            integers = np.round(kernel / steps).astype(np.int8)
            model.graph.initializer.append(onnx.numpy_helper.from_array(integers, stored))
            model.graph.initializer.append(onnx.numpy_helper.from_array(steps, step))
            nodes += [
                onnx.helper.make_node("Cast", [stored], [whole], whole, to=onnx.TensorProto.FLOAT),
                onnx.helper.make_node("Mul", [whole, step], [taken_back], taken_back),
            ]
            node.input[1] = taken_back
        nodes.append(node)
    # Copies: the nodes are the graph's own, which are deleted now.
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    _without_unused(model.graph)
    return bytes(model.SerializeToString(deterministic=True))


def biases(model: bytes) -> dict[str, NDArray[np.float32]]:
    """The bias of each operator of a float model that has one; see models.py."""
    graph = onnx.load_from_string(model).graph
    constants = {value.name: value for value in graph.initializer}
    return {
        node.output[0]: onnx.numpy_helper.to_array(constants[node.input[2]])
        for node in graph.node
        if node.op_type in BIASED and len(node.input) > 2 and node.input[2] in constants
    }


def with_biases(model: bytes, new: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The model with other biases for some operators; see models.py."""
    content = onnx.load_from_string(model)
    constants = {value.name: value for value in content.graph.initializer}
    nodes = {node.output[0]: node for node in content.graph.node}
    for name, given in new.items():
        # One of its own: operators may share equal constants.
        own, values = f"{name}_corrected_bias", given.astype(np.float32)
        integers = own + _QUANTIZED
        if integers in constants:
            # As the quantizer does it. Operators have lost their names where ReLU was merged.
            scale = onnx.numpy_helper.to_array(constants[f"{integers}_scale"])
            rounded = integer_bias(values / scale.astype(np.float64))
            constants[integers].CopyFrom(onnx.numpy_helper.from_array(rounded, integers))
        elif own in constants:
            constants[own].CopyFrom(onnx.numpy_helper.from_array(values, own))
        else:
            content.graph.initializer.append(onnx.numpy_helper.from_array(values, own))
            nodes[name].input[:] = [*nodes[name].input[:2], own]
    _without_unused(content.graph)
    return bytes(content.SerializeToString(deterministic=True))


def _without_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [
        onnx.TensorProto.FromString(constant.SerializeToString())
        for constant in graph.initializer
        if constant.name in used
    ]
    del graph.initializer[:]
    graph.initializer.extend(kept)
