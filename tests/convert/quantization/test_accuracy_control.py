from collections.abc import Callable, Collection
from dataclasses import dataclass

import pytest

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.accuracy_control import control_accuracy
from cxr_edge_convert.quantization.tensor_errors import TensorError
from cxr_edge_convert.verification import Verification, verify
from verified_logits import FLOAT, reference

BLOCKS = [("a",), ("b", "relu"), ("c",)]
ERRORS = [
    TensorError("a", "CONV_2D", 0.1, 0.1),
    TensorError("b", "CONV_2D", 0.5, 0.2),
    TensorError("relu", "RELU", 0.8, 0.3),
    TensorError("c", "CONV_2D", 0.9, 0.4),
]


@dataclass
class Model:
    in_float: list[str]
    verification: Verification


def needing(wanted: set[str]) -> Callable[[Collection[str]], Model]:
    """Passes when all wanted operators are in float; each one missing costs ten images."""

    def make(names: Collection[str]) -> Model:
        logits = FLOAT.copy()
        logits[: 10 * len(wanted.difference(names))] = -2.0
        return Model([*names], verify(reference(), logits, Limits()))

    return make


def test_blocks_that_add_most_error_come_first_until_the_limits_hold() -> None:
    model, found = control_accuracy(BLOCKS, ERRORS, needing({"b", "c"}))
    assert found.blocks_in_float == (("b", "relu"), ("c",))
    assert model.in_float == ["b", "relu", "c"]
    assert model.verification.passed
    assert found.steps == ((1, pytest.approx(0.05), pytest.approx(0.975)), (2, 0.0, 1.0))


def test_one_block_may_be_enough() -> None:
    assert control_accuracy(BLOCKS, ERRORS, needing({"b"}))[1].blocks_in_float == (("b", "relu"),)


def test_each_model_is_verified_once() -> None:
    tried = []

    def make(names: Collection[str]) -> Model:
        tried.append(needing({"b", "c"})(names))
        return tried[-1]

    model, found = control_accuracy(BLOCKS, ERRORS, make)
    assert len(tried) == len(found.steps) == 2
    assert model is tried[-1]


def test_when_nothing_helps_the_last_one_is_returned_as_not_passed() -> None:
    model, found = control_accuracy(BLOCKS, ERRORS, needing({"elsewhere"}))
    assert found.blocks_in_float == (("b", "relu"), ("c",), ("a",))
    assert not model.verification.passed


def test_progress_is_shown_for_all_blocks() -> None:
    totals = []

    def watch(items: object, total: int) -> object:
        totals.append(total)
        return items

    control_accuracy(BLOCKS, ERRORS, needing({"b"}), progress=lambda label: watch)
    assert totals == [3]
