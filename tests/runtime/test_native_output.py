import os

import pytest

from cxr_edge_runtime.native_output import stderr_silenced


def test_what_native_code_writes_is_hidden_and_later_lines_are_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with stderr_silenced():
        os.write(2, b"INFO: hidden\n")
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"


def test_stderr_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), stderr_silenced():
        raise ValueError("inside")
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"
