"""Compare the decision on each film in full resolution with the one on its 224 px training copy.

python models/release/originals_parity.py ORIGINALS COPIES [--bundle DIR] [--json FILE]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.gate import REJECTED

LABELS = ("NORMAL", "PNEUMONIA")


def compare(classifier: Classifier, originals: Path, copies: Path) -> dict[str, Any]:
    """Classify both versions of every film.

    Returns:
        The number of ``images``, how many get the ``same_decision``, the mean and the largest
        shift of the probability, how many originals the gate ``rejected``, and ``model_sha256``.
    """
    shifts, same, rejected = [], 0, 0
    for label in LABELS:
        for original in sorted((originals / label).glob("*.jpeg")):
            full = classifier.classify(original, force=True)
            copy = classifier.classify(copies / label / original.name, force=True)
            assert full.probability is not None
            assert copy.probability is not None
            rejected += full.gate.verdict == REJECTED
            same += full.label == copy.label
            shifts.append(abs(full.probability - copy.probability))
            if full.label != copy.label:
                print(f"{original.name}: {full.probability:.3f}, copy {copy.probability:.3f}")
    manifest = classifier.bundle.manifest
    return {
        "images": len(shifts),
        "same_decision": same,
        "mean_probability_shift": round(float(np.mean(shifts)), 4),
        "largest_probability_shift": round(float(np.max(shifts)), 4),
        "rejected": rejected,
        "model_sha256": manifest.files[manifest.model.file].sha256,
    }


def main() -> None:
    """Compare the versions of all films and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("originals", type=Path, help="folder with NORMAL and PNEUMONIA")
    parser.add_argument("copies", type=Path, help="the same with the 224 px copies")
    parser.add_argument("--bundle", type=Path, help="default: the shipped default bundle")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle or cxr_edge_models.path(cxr_edge_models.DEFAULT))
    text = json.dumps(compare(Classifier(bundle), arguments.originals, arguments.copies), indent=2)
    print(text)
    if arguments.json:
        write_text(arguments.json, text + "\n")


if __name__ == "__main__":
    main()
