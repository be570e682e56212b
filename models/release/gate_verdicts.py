"""Count how a bundle's input gate takes validation films and images of other folders.

    python models/release/gate_verdicts.py BUNDLE RUN NAME=FOLDER... [--root DIR] [--json FILE]

The run in the folder RUN names the validation films. No label is looked at.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import CxrEdgeError, ImageError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.gate import ACCEPTED, REJECTED, SUSPICIOUS
from cxr_edge_train.runs import read_dataset, read_run


def verdicts(classifier: Classifier, images: Iterable[Path]) -> dict[str, Any]:
    """Count the verdicts on images.

    Returns:
        The number of each verdict, of files that are ``unreadable``, and for each of the
        ``reasons`` that were given the number of images.
    """
    counts: Counter[str] = Counter(dict.fromkeys((ACCEPTED, SUSPICIOUS, REJECTED, "unreadable"), 0))
    reasons: Counter[str] = Counter()
    for image in images:
        try:
            gate = classifier.classify(image).gate
        except ImageError:
            counts["unreadable"] += 1
        else:
            counts[gate.verdict] += 1
            reasons.update(gate.reasons)
    return {**counts, "reasons": dict(reasons.most_common())}


def main() -> None:
    """Count the verdicts of all sets of images and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("run", type=Path, help="folder of the run it was made from")
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER", help="other images")
    parser.add_argument("--root", type=Path, help="folder of the films, if they were moved")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    arguments = parser.parse_args()
    try:
        classifier = Classifier(Bundle.load(arguments.bundle))
        table = read_dataset(arguments.run)
        root = arguments.root or Path(read_run(arguments.run).root)
        films = table.loc[table["split"] == "validation", "path"]
        sets = {"validation films": [root / path for path in films]}
        for pair in arguments.folders:
            name, _, folder = pair.partition("=")
            sets[name] = sorted(
                file for file in Path(folder).rglob("*") if file.is_file() and file.suffix != ".csv"
            )
        manifest = classifier.bundle.manifest
        counts: dict[str, Any] = {name: verdicts(classifier, of) for name, of in sets.items()}
        found = counts | {"model_sha256": manifest.files[manifest.model.file].sha256}
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json:
        write_text(arguments.json, text + "\n")


if __name__ == "__main__":
    main()
