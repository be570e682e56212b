"""Durations as a user writes them (``5s``, ``90d``) and as they are shown (``2 min 26 s``)."""

import re
from datetime import timedelta

from cxr_edge_runtime.errors import InvalidRequest

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str, *, option: str, example: str) -> timedelta:
    """Read a number with its unit.

    Args:
        text: what was given.
        option: the name of the option, for the message.
        example: a value that makes sense for it.

    Raises:
        InvalidRequest: it is something else, or longer than a calendar goes back.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip(), re.ASCII)
    try:
        if found:
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        pass
    raise InvalidRequest(f"{option} {text}: give a number of s, m, h or d, such as {example}")


def elapsed(seconds: float) -> str:
    """A time in words.

    >>> elapsed(0.31), elapsed(146)
    ('0.3 s', '2 min 26 s')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
