from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.golden_films import golden_films, label_means
from cxr_edge_runtime.bundle.manifest import GateLimits
from cxr_edge_runtime.device.selftest import MAX_MOVE, box_move
from cxr_edge_runtime.engines import Outputs
from cxr_edge_runtime.gate import Gate, thumbnails
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.locator import NO_DETAIL, Preprocessor
from cxr_edge_runtime.lungs import Lungs
from cxr_edge_runtime.preprocess import Box, PreprocessSpec
from cxr_edge_train.dataset.class_names import KERMANY as LABELS
from cxr_edge_train.statistics.operating_point import OperatingPoint

PREPARE = Preprocessor(PreprocessSpec(48, 48))


def at(threshold: float) -> OperatingPoint:
    return OperatingPoint(1.0, threshold, "a rule", "validation")


class _Brightness:
    """An engine whose logit, and first feature, rise with the mean grey."""

    name, kernels = "numpy", "none"

    def __init__(self, slope: float) -> None:
        self._slope = slope

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        logit = self._slope * (image.mean() - 128)
        feature = image.mean() / 128
        return {
            "logit": np.array([[logit]], dtype=np.float32),
            "embedding": np.array([[feature, 1.0]], dtype=np.float32),
        }


def means(normal: float, pneumonia: float) -> NDArray[np.float64]:
    slope = np.tile(np.linspace(-20, 20, 48)[:, np.newaxis], (1, 48))
    return np.stack([normal + slope, pneumonia + slope])


def gate(limits: GateLimits) -> Gate:
    film = thumbnails(means(128, 128)[0].astype(np.uint8)[np.newaxis, :, :, np.newaxis])[0]
    return Gate(
        mean=np.sqrt(np.array([0.5, 0.5], np.float32)),
        axes=np.zeros((0, 2), np.float32),
        variances=np.zeros(0, np.float32),
        residual=1e-4,
        film=film / np.linalg.norm(film),
        limits=limits,
    )


def test_means_are_of_each_label() -> None:
    films = np.stack([np.full((2, 2, 1), grey, np.uint8) for grey in (10, 20, 200, 100)])
    found = label_means(films, np.array([0, 0, 1, 1]))
    assert found.shape == (2, 2, 2)
    assert (found[0] == 15).all()
    assert (found[1] == 150).all()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_films_lie_far_from_and_near_to_the_threshold_on_both_sides(threshold: float) -> None:
    golden = golden_films(_Brightness(0.1), means(120, 136), at(threshold), None, LABELS, PREPARE)
    line = golden.answers[:-3]
    away = np.array([answer.probability for answer in line]) - threshold
    for side in (away[away > 0], -away[away < 0]):
        assert len(side) == 5
        assert 0.06 <= side.min() < 0.15
    assert [answer.label for answer in line] == [LABELS[int(each >= 0)] for each in away]
    assert {answer.verdict for answer in golden.answers} == {"not_checked"}
    assert "numpy" in golden.made_with


class _Unsure:
    """A locator that finds one thing where greys are even on average, and another elsewhere."""

    margin = 1.0

    def __init__(self, even: Box | None) -> None:
        self._found = (even and Lungs(even, ()), Lungs(Box(0, 0, 1, 0.5), ()))

    def lungs(self, pixels: NDArray[np.uint8], **_: float) -> Lungs | None:
        return self._found[round(float(pixels.mean())) % 2]


@pytest.mark.parametrize("even", [None, Box(0, 0, 1, 0.51)], ids=["no lungs", "another box"])
def test_film_of_which_the_locator_is_not_sure_is_not_chosen(even: Box | None) -> None:
    prepare = Preprocessor(PREPARE.spec, _Unsure(even))
    golden = golden_films(_Brightness(0.1), means(120, 136), at(0.5), None, LABELS, prepare)
    assert golden.films == ()


class _NotBlack:
    """A locator of what is not black, in films that are not bright."""

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def lungs(self, pixels: NDArray[np.uint8], **_: float) -> Lungs | None:
        if pixels.mean() > 130:
            return None
        rows, columns = np.nonzero(pixels > 30)
        height, width = pixels.shape
        left, right = columns.min() / width, (columns.max() + 1) / width
        return Lungs(Box(left, rows.min() / height, right, (rows.max() + 1) / height), ())


def test_lungs_lie_in_an_uneven_frame_so_that_another_margin_is_another_box() -> None:
    prepare = Preprocessor(PREPARE.spec, _NotBlack(1.05))
    golden = golden_films(_Brightness(0.1), means(120, 136), at(0.5), None, LABELS, prepare)
    boxes = [answer.box for answer in golden.answers if answer.box]
    assert len(boxes) >= 8
    for box in boxes:
        left, top, right, bottom = box.left, box.top, 1 - box.right, 1 - box.bottom
        assert min(left, top, right, bottom) > 0  # a margin that is cut off would show nothing
        assert min(abs(left - right), abs(top - bottom)) > 0.01
    other = Preprocessor(PREPARE.spec, _NotBlack(1.1))
    for film, answer in zip(golden.films, golden.answers):
        if answer.box:
            assert box_move(other(load_grey(film).pixels).box, answer.box) > MAX_MOVE


def test_films_without_lungs_have_no_box_and_are_rejected() -> None:
    prepare = Preprocessor(PREPARE.spec, _NotBlack(1.1))
    golden = golden_films(_Brightness(0.1), means(120, 136), at(0.5), None, LABELS, prepare)
    verdicts = {answer.verdict for answer in golden.answers if not answer.box}
    assert verdicts == {"rejected"}
    assert any(answer.box for answer in golden.answers)


@pytest.mark.parametrize(
    ("limits", "verdict"), [(None, "not_checked"), (GateLimits(1e6, 1e7), "accepted")]
)
def test_films_are_not_suspicious_for_the_detail_that_means_lack(
    limits: GateLimits | None, verdict: str
) -> None:
    prepare, known = Preprocessor(PREPARE.spec, _NotBlack(1.1)), limits and gate(limits)
    assert NO_DETAIL in prepare(means(110, 110)[0].astype(np.uint8)).doubts
    golden = golden_films(_Brightness(0.1), means(120, 136), at(0.5), known, LABELS, prepare)
    verdicts = {answer.verdict for answer in golden.answers if answer.box}
    assert verdicts - {"", "rejected"} == {verdict}


def test_where_the_line_does_not_cross_the_threshold_there_are_fewer() -> None:
    golden = golden_films(_Brightness(1.0), means(200, 201), at(0.5), None, LABELS, PREPARE)
    assert 1 <= len(golden.films) <= 5 + 3
    assert all(answer.probability > 0.5 for answer in golden.answers[:-3])


def test_negative_and_upside_down_are_rejected_and_no_verdict_is_near_a_limit() -> None:
    known = gate(GateLimits(3.0, 6.0))
    golden = golden_films(_Brightness(0.1), means(120, 136), at(0.5), known, LABELS, PREPARE)
    assert [answer.verdict for answer in golden.answers[-2:]] == ["rejected"] * 2
    assert {"accepted", "rejected"} <= {answer.verdict for answer in golden.answers}
    for change in (0.95, 1.05):
        limits = GateLimits(3.0 * change, 6.0 * change)
        moved = golden_films(
            _Brightness(0.1),
            means(120, 136),
            at(0.5),
            replace(known, limits=limits),
            LABELS,
            PREPARE,
        )
        verdict_of = dict(zip(moved.films, moved.answers))
        for film, answer in zip(golden.films, golden.answers):
            found = verdict_of.get(film, answer).verdict
            assert "" in (found, answer.verdict) or found == answer.verdict
