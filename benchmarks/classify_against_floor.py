"""One film, whole process: ``cxr-edge classify`` against a bare script.

python -m benchmarks.classify_against_floor FLOOR_SCRIPT IMAGE [--rounds 15]

The bare script takes IMAGE and MODEL; it decodes, resizes and infers, and checks nothing.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator

import cxr_edge_models
from benchmarks import side_by_side
from benchmarks.side_by_side import Finding, arguments, in_turn, installed_command, process, ratio


def benchmark(options: Namespace) -> Iterator[Finding]:
    model = cxr_edge_models.path(cxr_edge_models.DEFAULT) / "model.tflite"
    ours = [installed_command(), "classify", options.image]
    floor = [sys.executable, options.floor_script, options.image, model]
    rounds = in_turn(lambda: process(ours), lambda: process(floor), rounds=options.rounds)
    seconds = [(our.seconds, bare.seconds) for our, bare in rounds]
    yield ratio("time", seconds, unit="ms", scale=1000, at_most=1.3)
    memory = [(our.peak_mib, bare.peak_mib) for our, bare in rounds]
    yield ratio("peak memory", memory, unit="MiB", at_most=1.2)
    yield Finding("peak memory of classify", [our for our, _ in memory], "MiB", at_most=100)


if __name__ == "__main__":
    side_by_side.run(benchmark, arguments(__doc__, "floor_script", "image", rounds=15))
