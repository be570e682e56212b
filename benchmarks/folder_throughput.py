"""A folder on all cores against a plain loop, and against the perfect figure; start-up excluded.

python -m benchmarks.folder_throughput FOLDER [--rounds 5]

The perfect figure divides the cores by the time that decoding, preprocessing and one inference take
for a film in a single thread. All are measured in turn in each round.
"""

import statistics
from argparse import Namespace
from collections.abc import Iterator

from benchmarks.classification import classify_in_threads, images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, in_turn, ratio, run, seconds_of
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device import available_cores


def benchmark(options: Namespace) -> Iterator[Finding]:
    films, cores, bundle = images_below(options.folder), available_cores(), load_bundle()
    alone = Classifier(bundle)

    def plain_loop() -> tuple[float, float]:
        """Films a second of a loop, and of as many perfect loops as there are cores."""
        stages: list[float] = []
        seconds = seconds_of(
            lambda: stages.extend(sum(alone.classify(f).timings_ms.values()) for f in films)
        )
        return len(films) / seconds, cores * 1000 / statistics.fmean(stages)

    rounds = in_turn(
        lambda: (classify_in_threads(bundle, films, cores),), plain_loop, rounds=options.rounds
    )
    title, unit = f"{len(films)} films on {cores} cores", "films a second"
    against_loop = [(ours[0], theirs[0]) for ours, theirs in rounds]
    yield ratio(f"{title}, a plain loop", against_loop, unit=unit, at_least=1.6)
    against_perfect = [(ours[0], theirs[1]) for ours, theirs in rounds]
    yield ratio(f"{title}, the perfect figure", against_perfect, unit=unit, at_least=0.85)


if __name__ == "__main__":
    run(benchmark, arguments(__doc__, "folder", rounds=5))
