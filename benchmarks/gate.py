"""What the input gate says of films and of other things, by folder.

python -m benchmarks.gate FOLDER... [--bundle NAME] [--reject-at-most 0.01] [--reject-at-least 0.95]

Shares have Wilson's 95% intervals. The limits hold for each FOLDER as a whole.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import cxr_edge_models
from benchmarks.classification import images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, run
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device import available_cores
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_train.statistics.intervals import wilson_interval


def benchmark(options: argparse.Namespace) -> Iterator[Finding | str]:
    bundle = load_bundle(options.bundle)
    for folder in options.folders:
        verdicts: dict[str, Counter[str]] = defaultdict(Counter)
        images = ((path, None) for path in images_below(folder))
        for path, result in classify_all(
            images, lambda: Classifier(bundle), workers=available_cores()
        ):
            if not isinstance(result, CxrEdgeError):
                for name in ("", path.relative_to(folder).parts[0]):
                    verdicts[name][result.gate.verdict] += 1
        for name, counts in sorted(verdicts.items()):
            total = counts.total()
            shares = (
                f"{verdict} {counts[verdict]} ({wilson_interval(counts[verdict], total)})"
                for verdict in ("rejected", "suspicious")
            )
            yield f"{Path(folder.name, name)}: {total} images, {', '.join(shares)}"
        yield Finding(
            f"{folder.name}, share that is rejected",
            [verdicts[""]["rejected"] / verdicts[""].total()],
            at_most=options.reject_at_most,
            at_least=options.reject_at_least,
        )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--bundle", default=cxr_edge_models.DEFAULT)
    parser.add_argument("--reject-at-most", type=float)
    parser.add_argument("--reject-at-least", type=float)
    run(benchmark, parser)
