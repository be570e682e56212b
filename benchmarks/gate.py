"""What the input gate says of films and of other things, by folder.

    python benchmarks/gate.py FOLDER... [--bundle DIR|NAME]

Shares have Wilson's 95% intervals.
"""

import argparse
import os
from collections import Counter, defaultdict
from pathlib import Path

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge_runtime.batch import classify_all
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_train.statistics.intervals import wilson_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--bundle", help="folder or name of a shipped bundle")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for folder in arguments.folders:
        images = expand([folder], recursive=True)
        for path, result in classify_all(
            images, lambda: Classifier(bundle), workers=len(os.sched_getaffinity(0))
        ):
            if isinstance(result, CxrEdgeError):
                continue
            place = path.relative_to(folder).parts[0]
            for name in (folder.name, f"{folder.name}/{place}"):
                verdicts[name][result.gate.verdict] += 1
    for name, counts in sorted(verdicts.items()):
        total = sum(counts.values())
        shares = (
            f"{verdict} {counts[verdict]} ({wilson_interval(counts[verdict], total)})"
            for verdict in ("rejected", "suspicious")
        )
        print(f"{name}: {total} images, {', '.join(shares)}")


if __name__ == "__main__":
    main()
