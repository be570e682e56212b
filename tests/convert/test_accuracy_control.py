from collections.abc import Collection

import pytest

from cxr_edge_convert.accuracy_control import control_accuracy
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.tensor_errors import TensorError
from cxr_edge_convert.verification import Verification, verify
from verified_logits import FLOAT, reference

BLOCKS = [("a",), ("b", "relu"), ("c",)]
ERRORS = [
    TensorError("a", "CONV_2D", 0.1, 0.1),
    TensorError("b", "CONV_2D", 0.5, 0.2),
    TensorError("relu", "RELU", 0.8, 0.3),
    TensorError("c", "CONV_2D", 0.9, 0.4),
]


def make(names: Collection[str]) -> bytes:
    return " ".join(names).encode()


def needing(wanted: set[str]) -> object:
    """Passes when all wanted operators are in float; each one missing costs ten images."""

    def check(model: bytes) -> Verification:
        missing = wanted - set(model.decode().split())
        logits = FLOAT.copy()
        logits[: 10 * len(missing)] = -2.0
        return verify(reference(), logits, Limits())

    return check


def test_blocks_that_add_most_error_come_first_until_the_limits_hold() -> None:
    found = control_accuracy(BLOCKS, ERRORS, make, needing({"b", "c"}))
    assert found.blocks == [("b", "relu"), ("c",)]
    assert found.model == b"b relu c"
    assert found.verification.passed
    assert found.steps == [(1, pytest.approx(0.05), pytest.approx(0.975)), (2, 0.0, 1.0)]


def test_one_block_may_be_enough() -> None:
    assert control_accuracy(BLOCKS, ERRORS, make, needing({"b"})).blocks == [("b", "relu")]


def test_when_nothing_helps_the_last_one_is_returned_as_not_passed() -> None:
    found = control_accuracy(BLOCKS, ERRORS, make, needing({"elsewhere"}))
    assert found.blocks == [("b", "relu"), ("c",), ("a",)]
    assert not found.verification.passed


def test_progress_is_shown_for_all_blocks() -> None:
    totals = []

    def watch(items: object, total: int) -> object:
        totals.append(total)
        return items

    control_accuracy(BLOCKS, ERRORS, make, needing({"b"}), progress=watch)
    assert totals == [3]
