"""The self-test: does this device give the answers that the bundle was verified with?

A bundle carries golden films as files, with the answers that were given where it was made. They
pass through everything that an answer consists of: decoding, preprocessing, the engine, the gate,
the threshold and the labels. INT8 kernels of different processors differ by a few of 256 steps, so
a probability may change a little, but a label or a verdict must not. Each film is the mean of many,
so a bundle contains no film of a patient. A lung locator computes in float, so its box must be
the same but for rounding.
"""

import json
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from cxr_edge_runtime.bundle.arrays import pack_arrays, unpack_arrays
from cxr_edge_runtime.bundle.manifest import MAX_BYTES, SELFTEST_FILE, Manifest
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import BundleInvalid, EngineError, ImageError
from cxr_edge_runtime.gate import (
    ACCEPTED,
    NOT_CHECKED,
    ORIENTATIONS,
    REJECTED,
    SUSPICIOUS,
    Verdict,
)
from cxr_edge_runtime.locator import NO_DETAIL
from cxr_edge_runtime.preprocess import LOCATOR_CELLS, Box

# XNNPACK's kernels for three Cortex-A processors, emulated, agreed with those for x86-64 to six
# digits; LiteRT's plain ones were up to 0.04 away, tflite-runtime 2.14 0.053. A wrong kernel gives
# anything.
MAX_SHIFT = 0.1
# Of a side of the box, as a share of the film: a quarter of the locator's cell. No engine gave any
# of 1,149 films another box, and no emulated processor any of 238; a margin that is another by 0.05
# moves a side by half a cell.
MAX_MOVE = 0.25 / LOCATOR_CELLS
_NO_BOX = (0.0, 0.0, 0.0, 0.0)
_ORIENTATIONS = ("", *ORIENTATIONS)
_VERDICTS = ("", ACCEPTED, SUSPICIOUS, REJECTED, NOT_CHECKED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is given for a film.

    Attributes:
        probability: of the positive label.
        label: one of the bundle's labels, also where the gate rejects the film.
        verdict: that of the gate; empty where it is too near to a limit to be compared.
        orientation: ``upside down`` or ``inverted`` where the gate rejects it for that; it is
            compared where the verdict is.
        box: what the model looked at; None where it was the whole film.
    """

    probability: float
    label: str
    verdict: str
    orientation: str = ""
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class GoldenFilms:
    """Films with the answers that were given where the bundle was made.

    Attributes:
        films: the bytes of image files.
        answers: one for each film.
        made_with: engine and processor, as text.
    """

    films: tuple[bytes, ...]
    answers: tuple[Answer, ...]
    made_with: str

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = SELFTEST_FILE) -> "GoldenFilms":
        """Read what :meth:`to_bytes` wrote.

        Args:
            content: the bytes of ``selftest.npz``.
            name: what error messages call the file.

        Raises:
            BundleInvalid: it is not such an archive, or an earlier version wrote it.
        """
        arrays = unpack_arrays(
            content,
            ("films", "lengths", "probabilities", "words"),
            file=name,
            max_bytes=MAX_BYTES[SELFTEST_FILE],
            optional=("boxes",),
        )
        boxes = arrays.pop("boxes", np.tile(_NO_BOX, (arrays["probabilities"].size, 1)))
        films, lengths, probabilities, words = arrays.values()
        try:
            *columns, made_with = json.loads(words.astype(np.uint8).tobytes())
            labels, verdicts, orientations = columns
            answers = tuple(
                Answer(float(probability), str(label), str(verdict), str(orientation), _box(sides))
                for probability, label, verdict, orientation, sides in zip(
                    probabilities, labels, verdicts, orientations, boxes.tolist(), strict=True
                )
            )
        except (ValueError, TypeError, RecursionError):
            answers, made_with = (), ""
        sizes = lengths.tolist() if lengths.shape == probabilities.shape else []
        ends = [0, *accumulate(int(size) for size in sizes)]
        is_sound = (
            films.dtype == np.uint8
            and len(sizes) == len(answers) > 0
            and min(sizes) > 0
            and ends[-1] == films.size
            and all(0 <= answer.probability <= 1 for answer in answers)
            and all(answer.verdict in _VERDICTS for answer in answers)
            and all(answer.orientation in _ORIENTATIONS for answer in answers)
            and boxes.shape == (len(answers), 4)
            and ((boxes >= 0) & (boxes <= 1)).all()
        )
        if not is_sound:
            raise BundleInvalid(f"{name}: not a file of golden films; convert the model again")
        whole = films.tobytes()
        cut = tuple(whole[start:end] for start, end in pairwise(ends))
        return cls(cut, answers, str(made_with))

    def to_bytes(self) -> bytes:
        """Return the bytes of ``selftest.npz``; equal values give equal bytes."""
        labels = [answer.label for answer in self.answers]
        verdicts = [answer.verdict for answer in self.answers]
        orientations = [answer.orientation for answer in self.answers]
        words = json.dumps([labels, verdicts, orientations, self.made_with]).encode()
        # Without a lung locator there are none, so that a bundle's bytes are as they always were.
        boxes = [answer.box.in_pixels(1, 1) if answer.box else _NO_BOX for answer in self.answers]
        located = {"boxes": np.array(boxes)} if any(answer.box for answer in self.answers) else {}
        return pack_arrays(
            {
                "films": np.frombuffer(b"".join(self.films), dtype=np.uint8),
                "lengths": np.array([len(film) for film in self.films], dtype=np.uint32),
                "probabilities": np.array(
                    [answer.probability for answer in self.answers], dtype=np.float32
                ),
                "words": np.frombuffer(words, dtype=np.uint8),
            }
            | located
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one golden film on this device.

    Attributes:
        expected: the answer where the bundle was made.
        computed: the answer on this device.
    """

    expected: Answer
    computed: Answer

    @property
    def shift(self) -> float:
        """How far the probabilities are apart."""
        return abs(self.computed.probability - self.expected.probability)

    @property
    def move(self) -> float:
        """How far the boxes are apart; see :func:`box_move`."""
        return box_move(self.expected.box, self.computed.box)

    @property
    def passed(self) -> bool:
        """Whether label and verdict are the same, and probability and box close enough."""
        return (
            self.computed.label == self.expected.label
            and (
                not self.expected.verdict
                or (self.expected.verdict, self.expected.orientation)
                == (self.computed.verdict, self.computed.orientation)
            )
            and self.shift <= MAX_SHIFT
            and self.move <= MAX_MOVE
        )


def box_move(one: Box | None, other: Box | None) -> float:
    """How far boxes lie apart at the side where it is most, as a share of the film.

    It is 1 where only one of them is None, 0 where both are.
    """
    if one is None or other is None:
        return float(one is not other)
    sides = zip(one.in_pixels(1, 1), other.in_pixels(1, 1))
    return max(abs(side - moved) for side, moved in sides)


def require_golden_films(manifest: Manifest, *, name: str) -> None:
    """Check that a bundle has golden films.

    Args:
        manifest: of the bundle.
        name: what the error calls the bundle.

    Raises:
        BundleInvalid: it has none.
    """
    if SELFTEST_FILE not in manifest.files:
        raise BundleInvalid(
            f"{name}: has no golden films ({SELFTEST_FILE}) to test this device with; "
            "convert the model again with this version"
        )


def run_selftest(classifier: Classifier) -> tuple[GoldenFilms, list[Outcome]]:
    """Classify the golden films of a bundle on this device.

    Args:
        classifier: of the bundle, at its own prevalence.

    Returns:
        The golden films, and the outcome of each.

    Raises:
        BundleInvalid: the bundle has none, or damaged ones, or of other labels.
        EngineError: the engine failed, or a film could not be decoded.
    """
    bundle = classifier.bundle
    require_golden_films(bundle.manifest, name=str(bundle.path))
    golden = GoldenFilms.from_bytes(bundle.read(SELFTEST_FILE))
    labels = bundle.manifest.labels
    if any(answer.label not in labels for answer in golden.answers):
        raise BundleInvalid(f"{SELFTEST_FILE}: its labels are not those of the bundle")
    outcomes = []
    for film, expected in zip(golden.films, golden.answers):
        outcomes.append(Outcome(expected, answer_of(classifier, film)))
    return golden, outcomes


def answer_of(classifier: Classifier, film: bytes) -> Answer:
    """Classify a golden film.

    Raises:
        EngineError: the engine failed, or the film could not be decoded.
    """
    try:
        found = classifier.classify(film, force=True, mapped=False, name="a golden film")
    except ImageError as error:
        raise EngineError(str(error)) from error
    assert found.probability is not None
    assert found.label is not None
    gate = found.gate
    return Answer(
        found.probability, found.label, verdict_on_golden(gate), gate.orientation, found.box
    )


def verdict_on_golden(found: Verdict) -> str:
    """The verdict on a golden film, whatever detail it lacks: a mean of many films is blurred.

    With that doubt every golden film would be suspicious, whatever its distance. So they do
    not tell whether a device applies this one rule.
    """
    if found.reasons != (NO_DETAIL,):
        return found.verdict
    return NOT_CHECKED if found.distance is None else ACCEPTED


def _box(sides: list[float]) -> Box | None:
    left, top, right, bottom = sides
    return Box(left, top, right, bottom) if tuple(sides) != _NO_BOX else None
