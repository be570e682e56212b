"""Exit codes that no error carries; those that one does stand in :mod:`cxr_edge_runtime.errors`."""


def of_failures(*, others_done: bool) -> int:
    """Of a command in which films failed, with the others done or all of them lost."""
    return 3 if others_done else 1


def of_signal(number: int) -> int:
    """What a shell expects of a program that a signal ended."""
    return 128 + number
