"""The lines of standard input, each as soon as it is there."""

import os
import select
from collections.abc import Iterator
from typing import TextIO

# Of any path that a system takes; a longer line is no path.
_LONGEST_LINE = 65_536
_CHUNK = 65_536
# Some programs begin a list with it; it belongs to no path.
_BYTE_ORDER_MARK = "\ufeff"


class Data(Exception):
    """The input holds something else than lines of text."""


def lines_as_they_come(text: TextIO) -> Iterator[str | None]:
    """Lines without their ends; None each time before the next one is waited for.

    A pipe may bring a line now and the next one in an hour. A caller that is told so finishes in
    between what it has; one that reads ahead would not know.

    Args:
        text: nothing has been read from it. Names in it that are no UTF-8 become what
            :func:`os.fsdecode` makes of them.

    Raises:
        Data: there is a NUL byte, or a line as long as no path.
    """
    mark = _BYTE_ORDER_MARK
    try:
        descriptor, binary = text.fileno(), text.buffer
    except (OSError, AttributeError):  # text in memory: all of it is there
        for line in text:
            yield _checked(line).rstrip("\r\n").removeprefix(mark)
            mark = ""
        return
    # What is there, or what comes next; read() would wait for a whole chunk.
    read = getattr(binary, "read1", binary.read)
    rest = b""
    while True:
        if not select.select([descriptor], [], [], 0)[0]:
            yield None
        chunk: bytes = read(_CHUNK)
        *lines, rest = (rest + chunk).split(b"\n")
        if not chunk:
            lines = [rest]  # at the end a line may have none
        for content in lines:
            yield _checked(os.fsdecode(content)).rstrip("\r").removeprefix(mark)
            mark = ""
        _checked(os.fsdecode(rest))
        if not chunk:
            return


def _checked(line: str) -> str:
    if "\0" in line or len(line) > _LONGEST_LINE:
        raise Data
    return line
