from cxr_edge_convert.graphs import Operator, blocks, output_operators, scaling_tensors

# image -> scale -> conv1 -> relu -> conv2 -> add(conv1) -> cam -> squeezed
OPERATORS = [
    Operator("MUL", ("image",), ("scale",), False),
    Operator("CONV_2D", ("scale",), ("conv1",), True),
    Operator("RELU", ("conv1",), ("relu",), False),
    Operator("CONV_2D", ("relu",), ("conv2",), True),
    Operator("ADD", ("conv2", "conv1"), ("add",), False),
    Operator("CONV_2D", ("add",), ("head",), True),
    Operator("RESHAPE", ("head",), ("cam",), False),
]


def test_scaling_ends_at_the_first_weights() -> None:
    assert scaling_tensors(OPERATORS) == {"image", "scale"}


def test_tensor_without_any_activation_as_input_is_no_scaling() -> None:
    constant = Operator("FILL", (), ("noise",), False)
    assert scaling_tensors([constant, *OPERATORS]) == {"image", "scale"}


def test_operators_of_an_output_are_found_through_reshaping() -> None:
    assert output_operators(OPERATORS, ["cam"]) == {"cam", "head"}


def test_block_is_an_operator_with_weights_and_what_follows() -> None:
    assert blocks(OPERATORS, {"cam", "head"}) == [("conv1", "relu"), ("conv2", "add")]
