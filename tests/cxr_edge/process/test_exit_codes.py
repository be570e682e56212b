import signal

from cxr_edge.process import exit_codes


def test_some_failed_is_another_code_than_all_failed() -> None:
    assert exit_codes.of_failures(others_done=True) == 3
    assert exit_codes.of_failures(others_done=False) == 1


def test_ended_by_a_signal_is_what_a_shell_expects() -> None:
    assert exit_codes.of_signal(signal.SIGINT) == 130
    assert exit_codes.of_signal(signal.SIGTERM) == 143
