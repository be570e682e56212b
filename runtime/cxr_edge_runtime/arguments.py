"""Checks of the Python API's arguments, before any work is done.

A type hint stops nobody at run time: without these, wrong input ends in an error of another library
or, worse, is taken for something else.
"""

import math
import os
import sys
from numbers import Integral
from pathlib import Path
from typing import TypeGuard

from cxr_edge_runtime.errors import InvalidRequest

# Beyond these, Bayes' rule multiplies odds by more than a classifier's are worth. Here, since the
# command line's help needs them and must not load numpy.
MIN_PREVALENCE, MAX_PREVALENCE = 0.0001, 0.9999


def as_path(value: object, name: str) -> Path:
    """Check an argument that must be a path.

    Args:
        value: what the caller gave: text, a :class:`~pathlib.Path`, or another ``os.PathLike``.
        name: of the argument, for the message.

    Raises:
        InvalidRequest: the value is none of these, is empty, or contains a NUL character.
    """
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise InvalidRequest(f"{name} must be a path, not {value!r}")
    path = os.fsdecode(value)
    if "\0" in path:
        raise InvalidRequest(f"{name} contains a NUL character: {path!r}")
    return Path(path)


def optional_path(value: object, name: str) -> Path | None:
    """Check an argument that must be a path or None; see :func:`as_path`."""
    return None if value is None else as_path(value, name)


def as_whole_number(
    value: object, name: str, *, minimum: int = 1, maximum: int | None = None
) -> int:
    """Check an argument that must be a whole number.

    Args:
        value: what the caller gave; NumPy's integers are taken, too.
        name: of the argument, for the message.
        minimum: the smallest that is allowed.
        maximum: the largest that is allowed; None for no limit.

    Raises:
        InvalidRequest: the value is no whole number (True and False are none), or out of range.
    """
    most = math.inf if maximum is None else maximum
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if minimum <= number <= most:
            return number
    allowed = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise InvalidRequest(f"{name} must be a whole number {allowed}, not {value!r}")


def check_number(
    value: object, name: str, *, minimum: float = 0.0, maximum: float | None = None
) -> None:
    """Check an argument that must be a finite number.

    Raises:
        InvalidRequest: it is no number (True and False are none), not finite, or out of range.
    """
    most = sys.float_info.max if maximum is None else maximum
    if _is_number(value) and minimum <= value <= most:  # refuses NaN, too
        return
    allowed = f"of at least {minimum:g}" if maximum is None else f"from {minimum:g} to {most:g}"
    raise InvalidRequest(f"{name} must be a number {allowed}, not {value!r}")


def check_share(value: object, name: str) -> None:
    """Check a share of images that a result must reach.

    Raises:
        InvalidRequest: it is not a number above 0 and at most 1.
    """
    if not _is_number(value) or not 0 < value <= 1:
        raise InvalidRequest(f"{name} must be a number above 0 and at most 1, not {value!r}")


def check_flags(**flags: object) -> None:
    """Check arguments that must be True or False, given by their names.

    Raises:
        InvalidRequest: one is something else: the text ``"no"`` would count as true.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidRequest(f"{name} must be True or False, not {value!r}")


def check_callables(**functions: object) -> None:
    """Check arguments that must be functions, given by their names.

    Raises:
        InvalidRequest: one cannot be called.
    """
    for name, value in functions.items():
        if not callable(value):
            raise InvalidRequest(f"{name} must be a function, not {value!r}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
