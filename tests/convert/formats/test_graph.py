import numpy as np
import pytest

from cxr_edge_convert.formats.graph import (
    Operator,
    axes_within_a_channel,
    blocks,
    output_operators,
    scaling_tensors,
)

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


@pytest.mark.parametrize(
    ("shape", "channel_axis", "axes"),
    [
        ((1, 4, 4, 8), -1, (0, 1, 2)),
        ((1, 8, 4, 4), 1, (0, 2, 3)),
        ((1, 8), -1, (0,)),
        # Without rows and columns the channels are last in either layout.
        ((1, 8), 1, (0,)),
    ],
)
def test_all_axes_but_that_of_the_channels(
    shape: tuple[int, ...], channel_axis: int, axes: tuple[int, ...]
) -> None:
    assert axes_within_a_channel(np.zeros(shape, np.float32), channel_axis) == axes


def test_scaling_ends_at_the_first_weights() -> None:
    assert scaling_tensors(OPERATORS) == {"image", "scale"}


def test_tensor_without_any_activation_as_input_is_no_scaling() -> None:
    constant = Operator("FILL", (), ("noise",), False)
    assert scaling_tensors([constant, *OPERATORS]) == {"image", "scale"}


def test_operators_of_an_output_are_found_through_reshaping() -> None:
    assert output_operators(OPERATORS, ["cam"]) == {"cam", "head"}


def test_block_is_an_operator_with_weights_and_what_follows() -> None:
    assert blocks(OPERATORS, {"cam", "head"}) == [("conv1", "relu"), ("conv2", "add")]
