import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Activations, Operator
from cxr_edge_convert.quantization.tensor_errors import tensor_errors

OPERATORS = [
    Operator("CONV_2D", ("image",), ("a",), True),
    Operator("RELU", ("a",), ("fused",), False),
    Operator("CONV_2D", ("fused",), ("b",), True),
]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)


def exact(image: NDArray[np.uint8]) -> Activations:
    """Two channels, the second a thousand times larger."""
    grey = image.astype(np.float32)
    both = np.concatenate([grey / 255, grey[:, ::-1] * 4], axis=-1)
    return {"a": both, "fused": both, "b": both}


def rounded(image: NDArray[np.uint8]) -> Activations:
    """The steps of the large channel, 4, leave nothing of the small one."""
    values = exact(image)["a"]
    return {"a": values, "b": np.round(values / 4) * 4}


def test_equal_tensors_have_no_error() -> None:
    found = tensor_errors(exact, exact, OPERATORS, PIXELS, channel_axis=-1)
    assert [(error.operator, error.error, error.added) for error in found] == [
        ("a", 0.0, 0.0), ("fused", 0.0, 0.0), ("b", 0.0, 0.0),
    ]  # fmt: skip


def test_channel_drowned_by_a_large_one_is_seen() -> None:
    found = tensor_errors(exact, rounded, OPERATORS, PIXELS, channel_axis=-1)
    assert [error.operator for error in found] == ["a", "b"]
    # All of the small channel is lost, the large one keeps its own.
    assert found[1].error == pytest.approx(0.5, abs=0.01)
    assert found[1].added == found[1].error


def test_error_passes_through_what_is_fused_away() -> None:
    def early(image: NDArray[np.uint8]) -> Activations:
        values = rounded(image)["b"]
        return {"a": values, "b": values}

    first, second = tensor_errors(exact, early, OPERATORS, PIXELS, channel_axis=-1)
    assert first.added > 0.4
    assert second.added == 0.0


def test_channels_may_come_before_rows() -> None:
    def first(probe: object) -> object:
        return lambda image: {n: v.transpose(0, 3, 1, 2) for n, v in probe(image).items()}

    one = tensor_errors(exact, rounded, OPERATORS, PIXELS, channel_axis=-1)
    other = tensor_errors(first(exact), first(rounded), OPERATORS, PIXELS, channel_axis=1)
    assert one == other
