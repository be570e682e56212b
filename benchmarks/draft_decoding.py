"""Would reduced JPEG decoding be good enough? Decisions, parity with the 224 px copies, and time.

    python benchmarks/draft_decoding.py ORIGINALS COPIES [--bundle DIR|NAME]

Pillow's ``draft`` lets the JPEG decoder give an image of 1/2, 1/4 or 1/8 of the size, never smaller
than asked for. What was found stands in docs/results/draft-decoding.md.
"""

import argparse
import functools
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.console.inputs import expand
from cxr_edge_runtime.classifier import Classifier, sigmoid
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.preprocess import preprocess

# Least size of the decoded image, in sides of the model's input.
FACTORS = (1, 2, 3)


def decode_draft(content: bytes, side: int) -> NDArray[np.uint8]:
    """Grey ``[h, w] uint8`` of at least ``side`` a side, as JPEG's own scaling gives it."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", (side, side))
        return np.asarray(image.convert("L"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("originals", type=Path)
    parser.add_argument("copies", type=Path, help="the 224 px copies of the same names")
    parser.add_argument("--bundle", help="folder or name of a shipped bundle")
    arguments = parser.parse_args()
    classifier = Classifier(load_bundle(arguments.bundle))
    manifest = classifier.bundle.manifest
    films = [film for film, _ in expand([arguments.originals], recursive=True)]
    contents = [film.read_bytes() for film in films]

    def measured(pixels: NDArray[np.uint8]) -> float:
        return sigmoid(classifier.classify(pixels).logit / manifest.temperature)

    copies = np.array(
        [measured(load_grey((arguments.copies / f.parent.name / f.name).read_bytes()).pixels)
         for f in films]
    )  # fmt: skip
    height = manifest.preprocess.height
    ways: dict[str, Callable[[bytes], NDArray[np.uint8]]] = {
        "full": lambda content: load_grey(content).pixels
    }
    for factor in FACTORS:
        ways[f"draft {factor}x"] = functools.partial(decode_draft, side=factor * height)
    found: dict[str, NDArray[np.float64]] = {}
    times: dict[str, NDArray[np.float64]] = {}
    for name, way in ways.items():
        rows = []
        for content in contents:
            begun = time.perf_counter()
            pixels = way(content)
            decoded = time.perf_counter()
            preprocess(pixels, manifest.preprocess)
            prepared = time.perf_counter()
            rows.append((measured(pixels), decoded - begun, prepared - decoded))
        found[name], *times_ = np.array(rows).T
        times[name] = 1000 * np.stack(times_)

    print(f"{len(films)} films, mean times")
    full = found["full"] >= manifest.threshold.value
    for name, values in found.items():
        decisions = values >= manifest.threshold.value
        decode, prepare = times[name].mean(axis=1)
        print(
            f"{name}: decode {decode:.1f} ms, preprocess {prepare:.1f} ms; other decisions than "
            f"full {(decisions != full).sum()}, than the copies "
            f"{(decisions != (copies >= manifest.threshold.value)).sum()}; shift against the "
            f"copies {np.abs(values - copies).mean():.4f}"
        )


if __name__ == "__main__":
    main()
