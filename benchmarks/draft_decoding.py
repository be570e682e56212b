"""Would reduced JPEG decoding be good enough? Decisions, parity with the 224 px copies, and time.

    python -m benchmarks.draft_decoding ORIGINALS COPIES [--bundle DIR|NAME]

Pillow's ``draft`` lets the JPEG decoder give an image of 1/2, 1/4 or 1/8 of the size, never smaller
than asked for. What was found stands in docs/results/draft-decoding.md.
"""

import argparse
import functools
import io
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import cxr_edge_models
from benchmarks.classification import images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, run
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.locator import Preprocessor

# Least size of the decoded image, in sides of the model's input.
FACTORS = (1, 2, 3)


def decode_draft(content: bytes, side: int) -> NDArray[np.uint8]:
    """Grey ``[h, w] uint8`` of at least ``side`` a side, as JPEG's own scaling gives it."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", (side, side))
        return np.asarray(image.convert("L"))


def benchmark(options: argparse.Namespace) -> Iterator[Finding | str]:
    classifier = Classifier(load_bundle(options.bundle))
    manifest, prepare = classifier.bundle.manifest, Preprocessor.of(classifier.bundle)
    films = images_below(options.originals)
    contents = [film.read_bytes() for film in films]

    def measured(pixels: NDArray[np.uint8]) -> float:
        found = classifier.classify(pixels, force=True).probability
        assert found is not None
        return found

    copies = np.array(
        [measured(load_grey((options.copies / f.parent.name / f.name).read_bytes()).pixels)
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
            prepare(pixels)
            prepared = time.perf_counter()
            rows.append((measured(pixels), decoded - begun, prepared - decoded))
        found[name], *times_ = np.array(rows).T
        times[name] = 1000 * np.stack(times_)

    yield f"{len(films)} films, mean times"
    threshold = manifest.threshold.value
    for name, values in found.items():
        changed, from_copies = (
            ((values >= threshold) != (others >= threshold)).mean()
            for others in (found["full"], copies)
        )
        decode, prepare = times[name].mean(axis=1)
        yield (
            f"{name}: decode {decode:.1f} ms, preprocess {prepare:.1f} ms; decisions that differ "
            f"from the copies' {from_copies:.4f}, shift {np.abs(values - copies).mean():.4f}"
        )
        title = f"{name}, decisions that differ from full decoding's"
        yield Finding(title, [float(changed)], at_most=0.005)


if __name__ == "__main__":
    parser = arguments(__doc__, "originals", "copies")
    parser.add_argument("--bundle", default=cxr_edge_models.DEFAULT)
    run(benchmark, parser)
