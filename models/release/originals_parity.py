"""Does a film in full resolution get the same decision as its 224 px training copy?

python models/release/originals_parity.py ORIGINALS COPIES [--bundle DIR|NAME] [--json FILE]
"""

import argparse
import json
from pathlib import Path

import numpy as np

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge_runtime.classifier import Classifier, sigmoid
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.gate import REJECTED

LABELS = ("NORMAL", "PNEUMONIA")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("originals", type=Path, help="folder with NORMAL and PNEUMONIA")
    parser.add_argument("copies", type=Path, help="the same with the 224 px copies")
    parser.add_argument("--bundle", help="folder or name of a shipped bundle")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    classifier = Classifier(load_bundle(arguments.bundle))
    manifest = classifier.bundle.manifest
    temperature = manifest.temperature
    shifts: list[float] = []
    differing: list[str] = []
    rejected = 0
    for label in LABELS:
        for original, _ in expand([arguments.originals / label]):
            full, copy = (
                classifier.classify(path, force=True)
                for path in (original, arguments.copies / label / original.name)
            )
            rejected += full.gate.verdict == REJECTED
            was, now = (sigmoid(film.logit / temperature) for film in (full, copy))
            shifts.append(abs(was - now))
            if full.label != copy.label:
                differing.append(original.name)
                print(f"{original.name}: {was:.3f}, copy {now:.3f}")
    figures = {
        "images": len(shifts),
        "same_decision": len(shifts) - len(differing),
        "mean_probability_shift": round(float(np.mean(shifts)), 4),
        "largest_probability_shift": round(float(np.max(shifts)), 4),
        "rejected": rejected,
        "model_sha256": manifest.files[manifest.model.file].sha256,
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        write_text(arguments.json, json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
