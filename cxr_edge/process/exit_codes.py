"""The exit codes of every command: of errors, of films that failed, and of signals."""

from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest, LimitMissed

COULD_NOT, WRONG_USAGE, SOME_FAILED, LIMIT_MISSED = 1, 2, 3, 4


def of_error(error: CxrEdgeError) -> int:
    """The exit code of a command that one of our errors ended."""
    if isinstance(error, InvalidRequest):
        return WRONG_USAGE
    return LIMIT_MISSED if isinstance(error, LimitMissed) else COULD_NOT


def of_failures(*, others_done: bool) -> int:
    """The exit code of a command in which films failed, with the others done or none."""
    return SOME_FAILED if others_done else COULD_NOT


def of_signal(number: int) -> int:
    """What a shell expects of a program that a signal ended."""
    return 128 + number
