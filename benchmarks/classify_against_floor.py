"""One film, whole process: cxr-edge classify against a bare script; time and peak memory as ratios.

    python benchmarks/classify_against_floor.py FLOOR_SCRIPT IMAGE [--pairs 15]

The bare script takes IMAGE and MODEL. Both run in turn, so a drifting machine hits both alike; the
ratio is taken pair by pair and its median is the figure.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import cxr_edge_models


def measure(command: list[str]) -> tuple[float, int]:
    """Wall seconds and peak resident KiB of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss


def main() -> None:
    """Print the median of each command and of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("floor", help="the bare script")
    parser.add_argument("image")
    parser.add_argument("--pairs", type=int, default=15)
    arguments = parser.parse_args()
    model = cxr_edge_models.path(cxr_edge_models.DEFAULT) / "model.tflite"
    command = shutil.which("cxr-edge", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit("cxr-edge is not installed beside this Python")
    ours = [command, "classify", arguments.image]
    floor = [sys.executable, arguments.floor, arguments.image, str(model)]
    measure(ours), measure(floor)  # warm the disk cache
    pairs = [(measure(ours), measure(floor)) for _ in range(arguments.pairs)]
    for title, index, unit in (("time", 0, 1000), ("peak memory", 1, 1 / 1024)):
        values = [(our[index] * unit, bare[index] * unit) for our, bare in pairs]
        ratios = sorted(our / bare for our, bare in values)
        print(
            f"{title}: {statistics.median(our for our, _ in values):.1f} against "
            f"{statistics.median(bare for _, bare in values):.1f} "
            f"{'ms' if index == 0 else 'MiB'}, ratio {statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(pairs)} pairs)"
        )


if __name__ == "__main__":
    main()
