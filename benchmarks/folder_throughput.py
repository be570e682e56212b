"""A folder on all cores: against the perfect figure and against a plain loop; start-up excluded.

    python benchmarks/folder_throughput.py FOLDER [--rounds 5]

The perfect figure divides the cores by the time that decoding, preprocessing and one inference take
a film in a single thread. All three are measured in turn in each round.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier


def plain_loop(classifier: Classifier, films: Sequence[Path]) -> tuple[float, float]:
    """Films a second, and the sum of the stages in seconds a film."""
    begun = time.perf_counter()
    stages = [sum(classifier.classify(film).timings_ms.values()) for film in films]
    return len(films) / (time.perf_counter() - begun), statistics.fmean(stages) / 1000


def workers(make: Callable[[], Classifier], films: Sequence[Path], cores: int) -> float:
    """Films a second with as many workers as cores."""
    made = [make() for _ in range(cores)]
    begun = time.perf_counter()
    done = sum(1 for _ in classify_all(((f, None) for f in films), made.pop, workers=cores))
    return done / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    films = [film for film, _ in expand([arguments.folder], recursive=True)]
    cores = len(os.sched_getaffinity(0))
    bundle = load_bundle(None)
    alone = Classifier(bundle)
    plain_loop(alone, films[:10])
    rows = []
    for _ in range(arguments.rounds):
        loop, seconds = plain_loop(alone, films)
        many = workers(lambda: Classifier(bundle), films, cores)
        rows.append((many, loop, many / (cores / seconds), many / loop))
        print(f"{many:.1f} films a second, a plain loop {loop:.1f}, {cores} cores", flush=True)
    for title, index, wanted in (("of the perfect figure", 2, 0.85), ("of a plain loop", 3, 1.6)):
        values = sorted(row[index] for row in rows)
        print(
            f"{title}: {statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f}, "
            f"{len(values)} rounds); at least {wanted} wanted"
        )


if __name__ == "__main__":
    main()
