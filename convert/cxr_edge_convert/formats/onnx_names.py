"""Names for the tensors and nodes of an ONNX model that are the same in every export of it."""

import re
from typing import Any

import onnx

from cxr_edge_convert.formats.onnx_graph import WEIGHTED

# Keras' own levels of a name below the layer.
_SCOPES = ("batchnorm", "convolution", "depthwise")


def name_canonically(graph: onnx.GraphProto) -> None:
    """Name tensors and nodes by their layer and position in the graph.

    tf2onnx numbers names by a counter that continues from export to export.
    """
    kept = {value.name for value in (*graph.input, *graph.output)}
    constants = {value.name: value for value in graph.initializer}
    names: dict[str, str] = {name: name for name in ("", *kept)}
    for number, node in enumerate(graph.node):
        position = f"{number:03d}_{_layer(node)}"
        for index, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = f"{position}_input{index}"
        for index, name in enumerate(node.output):
            if name not in names:
                names[name] = f"{position}_output{index}" if index else position
        node.name = position
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for name, constant in constants.items():
        constant.name = names.get(name, "")
    ordered = sorted((c for c in graph.initializer if c.name), key=lambda c: str(c.name))
    copies = [onnx.TensorProto.FromString(constant.SerializeToString()) for constant in ordered]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    del graph.value_info[:]


def _layer(node: Any) -> str:
    """The Keras layer a node comes from, as far as its names tell, and its kind."""
    # Weights know their layer best: what follows a layer may have been folded into it.
    weights = node.input[1:] if node.op_type in WEIGHTED else ()
    for name in (*weights, node.name, *node.output):
        earlier = re.fullmatch(r"\d{3}_(.+?)(_input\d+)?", name)
        if earlier:
            return earlier[1]
        layers = [part for part in name.split("/")[:-1] if part not in _SCOPES]
        if layers:
            # Keras numbers the calls of a layer: model_1/layer_1/convolution.
            return f"{re.sub(r'_[0-9]+$', '', layers[-1])}_{node.op_type}"
    return str(node.op_type)
