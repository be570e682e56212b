"""The smoke test of a bundle on this device, in processes of their own that may crash or hang."""

import signal
import subprocess
import sys
from pathlib import Path

from cxr_edge.process import exit_codes
from cxr_edge_runtime.errors import InstallationError, LimitMissed

# A self-test takes seconds on the slowest device; an engine that hangs must end some time.
_MOST_SECONDS = 300


def run_smoke_test(bundle: Path) -> None:
    """Verify a bundle and run its self-test.

    Raises:
        LimitMissed: this device computes something else than the one that made the bundle.
        InstallationError: the bundle cannot be loaded, or the process ended in another bad way.
    """
    path = str(bundle.absolute())  # a relative one could begin as an option does
    for command in (["verify", path], ["selftest", path]):
        try:
            # -P: nothing is imported from the folder that the user happens to be in.
            ended = subprocess.run(
                [sys.executable, "-P", "-m", "cxr_edge", *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise InstallationError(
                f"{command[0]} did not end within {_MOST_SECONDS} seconds"
            ) from None
        if ended.returncode:
            missed = ended.returncode == exit_codes.LIMIT_MISSED
            kind = LimitMissed if missed else InstallationError
            raise kind(_reason(command[0], ended))


def _reason(command: str, ended: "subprocess.CompletedProcess[str]") -> str:
    """The last line that a command printed, or how it ended where it printed nothing."""
    if ended.returncode < 0:
        number = -ended.returncode
        return f"{command} was terminated by signal {number} ({signal.strsignal(number)})"
    lines = ended.stderr.strip().splitlines() or [
        f"{command} ended with exit status {ended.returncode}"
    ]
    return lines[-1].removeprefix("cxr-edge: ")
