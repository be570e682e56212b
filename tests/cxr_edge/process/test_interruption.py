import os
import signal
from collections.abc import Iterator

import pytest

from cxr_edge.process.interruption import interruption


@pytest.fixture(autouse=True)
def not_ignored() -> Iterator[None]:
    """A gate that runs in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_and_items_stop(number: signal.Signals) -> None:
    seen, noted = [], []
    with interruption(lambda: noted.append(1)) as interrupted:
        for item in interrupted.until(range(10)):
            seen.append(item)
            if item == 3:
                os.kill(os.getpid(), number)
        assert interrupted.number == number
    assert seen == [0, 1, 2, 3]
    assert noted == [1]


def test_second_signal_is_not_held_back() -> None:
    with pytest.raises(KeyboardInterrupt), interruption(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruption(lambda: None):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with pytest.raises(ValueError, match="x"), interruption(lambda: None):
        raise ValueError("x")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_without_a_signal_all_items_pass() -> None:
    with interruption(lambda: None) as interrupted:
        assert list(interrupted.until(range(3))) == [0, 1, 2]
        assert interrupted.number is None


def test_signal_that_was_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruption(lambda: None) as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.number is None
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_wait_for_the_next_item(number: signal.Signals) -> None:
    def items() -> Iterator[int]:
        yield 1
        os.kill(os.getpid(), number)
        raise AssertionError("went on waiting")

    with interruption(lambda: None) as interrupted:
        assert list(interrupted.until(items())) == [1]
        assert interrupted.number == number
