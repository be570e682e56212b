"""``cxr-edge --help`` against ``python -c "import typer"``.

python -m benchmarks.start_up [--rounds 25]
"""

import sys
from argparse import Namespace
from collections.abc import Iterator

from benchmarks import side_by_side
from benchmarks.side_by_side import Finding, arguments, in_turn, installed_command, process, ratio


def benchmark(options: Namespace) -> Iterator[Finding]:
    ours, floor = [installed_command(), "--help"], [sys.executable, "-c", "import typer"]
    rounds = in_turn(lambda: process(ours), lambda: process(floor), rounds=options.rounds)
    seconds = [(our.seconds, bare.seconds) for our, bare in rounds]
    yield ratio("--help", seconds, unit="ms", scale=1000, at_most=1.2)


if __name__ == "__main__":
    side_by_side.run(benchmark, arguments(__doc__, rounds=25))
