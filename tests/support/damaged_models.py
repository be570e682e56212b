"""TFLite models that are whole flatbuffers and nonsense all the same, and bundles of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle


def repacked(model: bytes, change: Callable[[Any], None]) -> bytes:
    """A TFLite file after a change of its graph."""
    graph = schema.ModelT.InitFromPackedBuf(model, 0)
    for buffer in graph.buffers:
        if buffer.offset > 1:  # stored after the graph
            content = model[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(content, np.uint8)
            buffer.offset = buffer.size = 0
    change(graph)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(graph.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unknown_tensor(graph: Any) -> None:
    """An output that is no tensor of the graph."""
    graph.signatureDefs[0].outputs[0].tensorIndex = 9999


def many_unknown_tensors(graph: Any) -> None:
    """An output of the graph itself that is none; the engine says so in two lines."""
    graph.subgraphs[0].outputs = [9999]


def no_signature(graph: Any) -> None:
    """No names for inputs and outputs."""
    graph.signatureDefs = []


def unset_outputs(graph: Any) -> None:
    """Outputs that nothing computes."""
    graph.subgraphs[0].outputs = []


def missing_operand(graph: Any) -> None:
    """An operator without its first input; LiteRT 2.1 may end the process with a signal."""
    operator = graph.subgraphs[0].operators[0]
    operator.inputs = [-1, *list(operator.inputs)[1:]]


def bundle_with(bundle: Bundle, model: bytes, folder: Path) -> Path:
    """A bundle with another model, whose hashes are right."""
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents[bundle.manifest.model.file] = model
    write_bundle(folder, replace(bundle.manifest, files=describe_files(contents)), contents)
    return folder
