"""The entry point of ``cxr-edge`` and ``python -m cxr_edge``."""

import gc
import os
import sys

# Objects between two looks for garbage cycles; Python's default of 700 is right for a server, but
# here it means a hundred looks while modules load that find nothing. With the freeze below
# classifying one film took 1.25 instead of 1.53 times a bare script. A long run still collects.
_COLLECT_AFTER = 50_000
# What a shell expects of a program that Ctrl-C ended: 128 and the number of the signal.
_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_COLLECT_AFTER)
    _open_closed_streams()
    # No process that a command starts imports from the folder that the user happens to be in; those
    # that multiprocessing and Ray start would.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        from cxr_edge.cli import main as run_command_line
        from cxr_edge_runtime.native_output import keep_python_heard

        # Its own messages are heard while a native library is silenced.
        keep_python_heard()
        run_command_line()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        gc.freeze()  # the process ends: no last look over everything


def _open_closed_streams() -> None:
    """Open the standard streams that are closed, as after ``2>&-``, on nothing.

    The next file that is opened would get the number: what a library prints to standard error would
    be written into a CSV file or a log.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number
        if getattr(sys, name) is None:
            stream = open(  # noqa: SIM115  # open as long as the process
                number, "w" if number else "r", encoding="utf-8", closefd=False
            )
            setattr(sys, name, stream)


if __name__ == "__main__":
    # The script cxr-edge does without; ``python -m`` has the current folder as the first.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
