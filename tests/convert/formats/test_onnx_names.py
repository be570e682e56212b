import onnx
from onnx import TensorProto, helper

from cxr_edge_convert.formats.onnx import to_float32
from cxr_edge_convert.formats.onnx_graph import operators
from cxr_edge_convert.formats.onnx_names import name_canonically
from tiny_model import tiny_model


def test_tensors_have_the_names_of_their_layers() -> None:
    float32 = to_float32(tiny_model())
    names = [operator.name for operator in operators(onnx.load_from_string(float32).graph)]
    assert "000_rescaling_Mul" in names
    assert any("conv8" in name for name in names)


def test_counters_in_names_change_nothing() -> None:
    def graph(counter: int) -> onnx.GraphProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])
        logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, [1])
        weight = helper.make_tensor(f"const__{counter}", TensorProto.FLOAT, [1], [2.0])
        inner = f"model/scale_{counter}/mul:0"
        nodes = [
            helper.make_node(
                "Mul", ["image", f"const__{counter}"], [inner], f"model/mul_{counter}"
            ),
            helper.make_node("Relu", [inner], ["logit"], f"Relu__{counter + 1}"),
        ]
        found = helper.make_graph(nodes, "graph", [image], [logit], [weight])
        name_canonically(found)
        return found

    first, second = graph(3), graph(40)
    assert first.SerializeToString() == second.SerializeToString()
    assert [node.output[0] for node in first.node][-1] == "logit"
