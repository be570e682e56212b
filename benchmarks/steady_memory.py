"""Does classifying many images in one process let memory grow? At most 5 MB after 500 is wanted.

python benchmarks/steady_memory.py FOLDER [--images 20000]
"""

import argparse
import itertools
import os
import sys
from pathlib import Path

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.inference_timing import peak_memory_mb

_SETTLED = 500


def resident_mb() -> float:
    """Megabytes (2**20 bytes) in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    arguments = parser.parse_args()
    found = [film for film, _ in expand([arguments.folder], recursive=True)]
    films = itertools.islice(itertools.cycle(found), arguments.images)
    bundle = load_bundle(None)
    results = classify_all(
        ((film, None) for film in films),
        lambda: Classifier(bundle),
        workers=len(os.sched_getaffinity(0)),
    )
    settled = now = 0.0
    for number, _ in enumerate(results, start=1):
        if number == _SETTLED:
            settled = resident_mb()
        if number == _SETTLED or number % 5000 == 0:
            # Before the last result is taken: then the workers go and give memory back.
            now = resident_mb()
            print(f"after {number}: {now:.1f} MB", flush=True)
    grown = now - settled
    print(f"{arguments.images} images: grown by {grown:+.1f} MB, peak {peak_memory_mb():.1f} MB")
    sys.exit(0 if grown < 5 else 1)


if __name__ == "__main__":
    main()
