"""Does memory grow while one process classifies many images?

python -m benchmarks.steady_memory FOLDER [--images 20000]
"""

import itertools
from argparse import Namespace
from collections.abc import Iterator

from benchmarks.classification import images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, resident_mb, run
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device import available_cores

SETTLED = 500  # images after which memory should stay as it is


def benchmark(options: Namespace) -> Iterator[Finding | str]:
    films = itertools.islice(itertools.cycle(images_below(options.folder)), options.images)
    bundle = load_bundle()
    results = classify_all(
        ((film, None) for film in films), lambda: Classifier(bundle), workers=available_cores()
    )
    settled = now = 0.0
    for number, _ in enumerate(results, start=1):
        if number == SETTLED:
            settled = resident_mb()
        if number == SETTLED or number % 5000 == 0:
            # Before the last result is taken: after it the workers end and give memory back.
            now = resident_mb()
            yield f"after {number}: {now:.1f} MB"
    yield Finding(f"growth after the first {SETTLED} images", [now - settled], "MB", at_most=5)


if __name__ == "__main__":
    parser = arguments(__doc__, "folder")
    parser.add_argument("--images", type=int, default=20_000)
    run(benchmark, parser)
