"""Waiting for what another thread or process does, however busy the machine is."""

import time
from collections.abc import Callable

# Only against waiting for ever.
PATIENCE_S = 120.0


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited for in vain"
        time.sleep(0.01)
