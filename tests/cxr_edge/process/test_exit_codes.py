import signal

import pytest

from cxr_edge.process import exit_codes
from cxr_edge_runtime import errors


def test_some_failed_is_another_code_than_all_failed() -> None:
    assert exit_codes.of_failures(others_done=True) == 3
    assert exit_codes.of_failures(others_done=False) == 1


def test_ended_by_a_signal_is_what_a_shell_expects() -> None:
    assert exit_codes.of_signal(signal.SIGINT) == 130
    assert exit_codes.of_signal(signal.SIGTERM) == 143


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CxrEdgeError, 1),
        (errors.BundleNotFound, 1),
        (errors.ExtraMissing, 1),
        (errors.InvalidRequest, 2),
        (errors.LimitMissed, 4),
    ],
)
def test_each_error_has_its_exit_code(error: type[errors.CxrEdgeError], code: int) -> None:
    assert exit_codes.of_error(error("why")) == code
