"""One film, whole process: ``cxr-edge classify`` against a bare script.

python -m benchmarks.classify_against_floor FLOOR_SCRIPT IMAGE [--rounds 9]

The bare script takes IMAGE, MODEL and LOCATOR; it decodes, cuts to the lungs, resizes and infers,
and checks nothing. Instructions are counted by valgrind's callgrind, which repeats; where it is not
installed, wall time takes their place.
"""

import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import cxr_edge_models
from benchmarks import side_by_side
from benchmarks.side_by_side import Finding, arguments, in_turn, installed_command, process, ratio

_TIMES = 1.25
# Hashes of strings and threads that wait for work would differ from run to run.
_REPEATABLE = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}


def instructions(command: list[str | Path]) -> int:
    """The instructions that a command executes."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    counted = subprocess.run(
        [*valgrind, *command],
        env=os.environ | _REPEATABLE,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", counted.stderr)
    assert found is not None
    return int(found[1])


def benchmark(options: Namespace) -> Iterator[Finding | str]:
    bundle = cxr_edge_models.path(cxr_edge_models.DEFAULT)
    ours: list[str | Path] = [installed_command(), "classify", options.image]
    networks = [bundle / "model.tflite", bundle / "locator.tflite"]
    floor: list[str | Path] = [sys.executable, options.floor_script, options.image, *networks]
    counted = shutil.which("valgrind") is not None
    if counted:
        pair = (instructions(ours), instructions(floor))
        yield ratio("instructions", [pair], unit="million", scale=1e-6, at_most=_TIMES)
    rounds = in_turn(lambda: process(ours), lambda: process(floor), rounds=options.rounds)
    seconds = [(our.seconds, bare.seconds) for our, bare in rounds]
    yield ratio("time", seconds, unit="ms", scale=1000, at_most=None if counted else _TIMES)
    memory = [(our.peak_mib, bare.peak_mib) for our, bare in rounds]
    yield ratio("peak memory", memory, unit="MiB", at_most=1.1)
    yield Finding("peak memory of classify", [our for our, _ in memory], "MiB", at_most=100)


if __name__ == "__main__":
    side_by_side.run(benchmark, arguments(__doc__, "floor_script", "image", rounds=9))
