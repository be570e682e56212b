"""``cxr-edge --help`` against ``python -c "import typer"``; at most 1.25 times is wanted.

    python benchmarks/start_up.py [--pairs 25]

Both run in turn, the ratio is taken pair by pair and its median is the figure.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=25)
    arguments = parser.parse_args()
    command = shutil.which("cxr-edge", path=str(Path(sys.executable).parent))
    if command is None:
        sys.exit("cxr-edge is not installed beside this Python")
    ours, floor = [command, "--help"], [sys.executable, "-c", "import typer"]
    seconds(ours), seconds(floor)  # warm the disk cache
    pairs = [(seconds(ours), seconds(floor)) for _ in range(arguments.pairs)]
    ratios = sorted(our / bare for our, bare in pairs)
    print(
        f"--help: {statistics.median(our for our, _ in pairs) * 1000:.0f} against "
        f"{statistics.median(bare for _, bare in pairs) * 1000:.0f} ms, ratio "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, "
        f"{len(pairs)} pairs)"
    )


if __name__ == "__main__":
    main()
