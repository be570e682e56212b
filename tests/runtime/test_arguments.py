from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge_runtime import arguments
from cxr_edge_runtime.errors import InvalidRequest


def test_path_is_text_or_path() -> None:
    assert arguments.as_path("a/b", "x") == Path("a/b") == arguments.as_path(Path("a/b"), "x")
    assert arguments.optional_path("a", "x") == Path("a")
    assert arguments.optional_path(None, "x") is None


@pytest.mark.parametrize("value", ["", b"a", 3, ["a"], "a\0b"])
def test_no_path(value: Any) -> None:
    for check in (arguments.as_path, arguments.optional_path):
        with pytest.raises(InvalidRequest, match=r"output (must be a path|contains a NUL)"):
            check(value, "output")


@pytest.mark.parametrize("value", [1, 64, np.int64(2), np.uint8(3)])
def test_whole_number_of_numpy_becomes_one_of_python(value: Any) -> None:
    number = arguments.as_whole_number(value, "threads", maximum=64)
    assert type(number) is int
    assert number == value


@pytest.mark.parametrize("value", [0, 65, True, 1.0, np.float32(1), "1", None, np.int64(-1)])
def test_no_whole_number_in_range(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="threads must be a whole number from 1 to 64, not "):
        arguments.as_whole_number(value, "threads", maximum=64)


def test_whole_number_without_a_maximum() -> None:
    assert arguments.as_whole_number(10**30, "n") == 10**30
    with pytest.raises(InvalidRequest, match="n must be a whole number of at least 1, not 0"):
        arguments.as_whole_number(0, "n")


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), -0.1, 1.1])
def test_number_is_finite_and_in_range(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="x must be a number from 0 to 1, not "):
        arguments.check_number(value, "x", maximum=1)
    for allowed in (0, 1, 0.5, np.float64(0.5)):
        arguments.check_number(allowed, "x", maximum=1)


def test_number_without_a_maximum_is_finite() -> None:
    arguments.check_number(1e300, "x")
    with pytest.raises(InvalidRequest, match="x must be a number of at least 0, not inf"):
        arguments.check_number(float("inf"), "x")


@pytest.mark.parametrize("value", [0, True, "1", float("nan"), -0.1, 1.1])
def test_share_is_above_0(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="x must be a number above 0 and at most 1, not "):
        arguments.check_share(value, "x")
    arguments.check_share(1, "x")


@pytest.mark.parametrize("value", ["no", 0, 1, None])
def test_flag_is_true_or_false(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="force must be True or False, not "):
        arguments.check_flags(other=True, force=value)


def test_function_can_be_called() -> None:
    with pytest.raises(InvalidRequest, match="progress must be a function, not None"):
        arguments.check_callables(callbacks=print, progress=None)
