import os
import subprocess
import sys
import threading

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


def test_threads_that_overlap_silence_together(capfd: pytest.CaptureFixture[str]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with stderr_silenced():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(60)
    with stderr_silenced():  # would wait for ever, were a lock held
        os.write(2, b"hidden\n")
    os.write(2, b"hidden too\n")
    leave.set()
    thread.join()
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"


def test_python_of_a_program_is_heard_all_the_same() -> None:
    program = (
        "import os, sys\n"
        "from cxr_edge_runtime.native_output import keep_python_heard, stderr_silenced\n"
        "keep_python_heard()\n"
        "with stderr_silenced():\n"
        "    os.write(2, b'hidden\\n')\n"
        "    print('heard', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "heard\n")
