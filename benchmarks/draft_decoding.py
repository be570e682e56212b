"""What reduced JPEG decoding changes: decisions, verdicts, parity with the 224 px copies, and time.

    python -m benchmarks.draft_decoding ORIGINALS COPIES [--bundle DIR|NAME]

Large JPEGs are decoded at a half, a quarter or an eighth of their size; a side never has fewer
pixels than asked for. See docs/results/draft-decoding.md.
"""

import argparse
import time
from collections.abc import Iterator

import numpy as np

import cxr_edge_models
from benchmarks.classification import images_below, load_bundle
from benchmarks.side_by_side import Finding, arguments, run
from cxr_edge_runtime.classifier import Classifier, Prediction
from cxr_edge_runtime.images import GreyImage, load_grey
from cxr_edge_runtime.locator import Preprocessor


def benchmark(options: argparse.Namespace) -> Iterator[Finding | str]:
    bundle = load_bundle(options.bundle)
    classifier, used = Classifier(bundle), Preprocessor.of(bundle).least_side
    if used is None:
        raise SystemExit("a bundle without a lung locator is shown films at their own size")
    films = images_below(options.originals)
    contents = [film.read_bytes() for film in films]
    copies = [(options.copies / film.parent.name / film.name).read_bytes() for film in films]
    answers_to_copies = [classifier.classify(load_grey(copy), force=True) for copy in copies]

    def found(least_side: int | None) -> tuple[list[GreyImage], list[Prediction], float]:
        begun = time.process_time()
        decoded = [load_grey(content, least_side=least_side) for content in contents]
        answers = [classifier.classify(film, force=True, mapped=False) for film in decoded]
        return decoded, answers, 1000 * (time.process_time() - begun) / len(films)

    whole_films, whole, whole_ms = found(None)
    unlike_copies = _different(whole, answers_to_copies)
    yield f"{len(films)} films; whole: {whole_ms:.1f} ms, {unlike_copies} decisions unlike copies"
    for least_side in sorted({128, 192, 256, 320, 400, 560, 800, used}):
        decoded, answers, ms = found(least_side)
        reduced = sum(a.pixels.size < b.pixels.size for a, b in zip(decoded, whole_films))
        verdicts = sum(a.gate.verdict != b.gate.verdict for a, b in zip(answers, whole))
        moved = max(_move(a, b) for a, b in zip(answers, whole))
        shifts = np.abs([a.logit - b.logit for a, b in zip(answers, whole)])
        decisions = _different(answers, whole)
        yield (
            f"{least_side} px: {reduced} films reduced, {decisions} decisions and {verdicts} "
            f"verdicts changed, {_different(answers, answers_to_copies)} decisions unlike copies; "
            f"logit moves by {shifts.mean():.3f}, a side of a box by up to {moved:.2f} of 32; "
            f"{ms:.1f} ms"
        )
        if least_side == used:
            yield Finding("share of decisions that change", [decisions / len(films)], at_most=0.005)
            yield Finding("time, against whole films", [ms / whole_ms], at_most=0.85)


def _different(some: list[Prediction], others: list[Prediction]) -> int:
    return sum(a.label != b.label for a, b in zip(some, others))


def _move(one: Prediction, other: Prediction) -> float:
    """The largest move of a side of the box, in 32nds of the film's side."""
    if one.box is None or other.box is None:
        return 0.0 if one.box is other.box else 32.0
    sides = np.subtract(one.box.in_pixels(32, 32), other.box.in_pixels(32, 32))
    return float(np.abs(sides).max())


if __name__ == "__main__":
    parser = arguments(__doc__, "originals", "copies")
    parser.add_argument("--bundle", default=cxr_edge_models.DEFAULT)
    run(benchmark, parser)
