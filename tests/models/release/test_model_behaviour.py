from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.locator import Locator, Preprocessor
from cxr_edge_runtime.preprocess import WHOLE_FILM, Box, PreprocessSpec
from scripts import load_script

behaviour = load_script("models/release/model_behaviour.py")
maps_in_lungs = load_script("models/release/maps_in_lungs.py")
outlined_films = load_script("models/release/outlined_films.py")


class CornerReader:
    """A model that relies on the grey of the upper left corner alone, and shows it."""

    operating_point = SimpleNamespace(
        threshold=0.5, threshold_logit=0.0, probabilities=lambda logits: 1 / (1 + np.exp(-logits))
    )
    identity = SimpleNamespace(bundle="corner-reader")
    prepare = Preprocessor(PreprocessSpec(80, 80))

    def logits(self, images: Any) -> np.ndarray:
        return np.array([image[0, 0, 0, 0] / 255 - 0.5 for image in images])

    def activation_maps(self, images: np.ndarray) -> np.ndarray:
        maps = np.zeros((len(images), 5, 5), dtype=np.float32)
        maps[:, 0, 0] = images[:, 0, 0, 0] / 255 - 0.5
        return maps


PIXELS = np.random.default_rng(0).integers(90, 110, (40, 80, 80)).astype(np.uint8)
LABELS = np.repeat([0, 1], 20)
PIXELS[LABELS == 1, 0, 0] = 200
PIXELS[[0, 1], 0, 0] = 200  # two false alarms
PIXELS[20:23, 0, 0] = 20  # three missed
MASKS = np.zeros((40, 224, 224), np.uint8)
MASKS[:, 28:196, 28:196] = 255
FILMS = outlined_films.Films(list(PIXELS), MASKS, LABELS)
PREPARED = [CornerReader.prepare(film) for film in PIXELS]


def test_share_in_the_lungs_counts_only_evidence_for_the_decision() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[30:70, 30:70] = 255
    inside = np.zeros((100, 100), dtype=np.float32)
    inside[40:60, 40:60] = 1.0
    share = maps_in_lungs.share_in_lungs
    assert share(inside, mask, WHOLE_FILM) == 1.0
    assert share(-inside, mask, WHOLE_FILM) == 0.0
    assert share(np.ones((5, 5)), mask, WHOLE_FILM) == pytest.approx(0.16)
    # The map covers what the model is shown, not the whole film.
    assert share(np.ones((5, 5)), mask, Box(0.3, 0.3, 0.7, 0.7)) == 1.0
    assert share(np.ones((5, 5)), mask, Box(0.0, 0.0, 0.5, 1.0)) == pytest.approx(0.16)


def test_the_box_of_a_mask_holds_all_of_it_and_no_more() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[20:60, 30:180] = 255
    assert outlined_films.lungs_box(mask) == Box(0.15, 0.2, 0.9, 0.6)


def test_model_that_reads_a_corner_is_found_out() -> None:
    found = behaviour.behaviour(CornerReader(), FILMS)
    assert found["unchanged"]["mean_probability_shift"] == 0
    assert found["unchanged"]["specificity"]["value"] == pytest.approx(18 / 20)
    assert found["unchanged"]["sensitivity"]["value"] == pytest.approx(17 / 20)
    corners = found["corners blacked out"]
    assert corners["auc"] == 0.5
    assert corners["sensitivity"]["value"] == 0.0
    assert corners["shift"]["PNEUMONIA"] < -0.1
    assert corners["decisions_changed"] == pytest.approx((2 + 17) / 40)


class HeightReader(CornerReader):
    """A model that goes by how large the lungs are in its input."""

    def logits(self, images: Any) -> np.ndarray:
        return np.array([(image > 127).mean() - 0.6 for image in images])


class Found:
    """A locator that finds what is bright."""

    margin = 1.25

    def __init__(self, error: float = 0.0) -> None:
        self.error = error

    def lungs(self, pixels: np.ndarray) -> Any:
        box = outlined_films.lungs_box((pixels > 127).astype(np.uint8))
        wrong = Box(box.left, box.top - self.error, box.right, box.bottom + self.error)
        return SimpleNamespace(box=wrong, doubts=(), cells=200)


def bright_lungs() -> tuple[Any, np.ndarray]:
    masks = np.zeros((20, 224, 224), np.uint8)
    labels = np.repeat([0, 1], 10)
    for mask, label, shift in zip(masks, labels, [*range(10)] * 2):
        edge = 50 - 30 * label + shift
        mask[edge:-edge, 50:-50] = 255
    return outlined_films.Films([mask // 2 + 60 for mask in masks], masks, labels), labels


def test_a_box_takes_away_what_the_frame_tells() -> None:
    films, _ = bright_lungs()
    subject = HeightReader()
    whole = [subject.prepare(film) for film in films.pixels]
    found = behaviour.framing(subject, films, whole)
    assert found["auc_of_height_in_film"] == found["auc_of_height_in_view"] == 1.0
    assert found["decisions_changed_by_true_box"] is None
    subject.prepare = Preprocessor(PreprocessSpec(80, 80), cast("Locator", Found()))
    cut = [subject.prepare(film) for film in films.pixels]
    found = behaviour.framing(subject, films, cut)
    assert found["auc_of_height_in_view"] == pytest.approx(0.5, abs=0.2)
    assert found["decisions_changed_by_true_box"] == 0.0
    subject.prepare = Preprocessor(PreprocessSpec(80, 80), cast("Locator", Found(error=0.08)))
    cut = [subject.prepare(film) for film in films.pixels]
    assert behaviour.framing(subject, films, cut)["decisions_changed_by_true_box"] > 0.2


def test_right_decisions_false_alarms_and_missed_ones_are_shown() -> None:
    labels = np.repeat([0, 1], 50)
    probability = np.linspace(0.2, 0.8, 100)
    probability[:20] = np.linspace(0.9, 0.7, 20)
    probability[50:52] = (0.1, 0.3)
    rows = maps_in_lungs.shown_rows(labels, probability, 0.5)
    right, wrong = rows[: maps_in_lungs.SHOWN], rows[maps_in_lungs.SHOWN :]
    assert ((probability[right] >= 0.5) == labels[right]).all()
    # Of missed ones there are two, furthest off first; false alarms fill up.
    assert wrong.tolist() == [*range(8), 50, 51]


def test_maps_tell_right_decisions_from_both_kinds_of_wrong_ones(tmp_path: Path) -> None:
    found = maps_in_lungs.maps(CornerReader(), FILMS, PREPARED, tmp_path)
    assert found["cells"] == [5, 5]
    assert found["right"]["films"] == 35
    assert found["false alarms"]["films"] == 2
    assert found["missed"]["films"] == 3
    # The corner's cell is 45 by 45 of 224 pixels, of which the outline holds 17 by 17.
    for kind in ("right", "false alarms", "missed"):
        assert found[kind]["maps"] == pytest.approx((17 / 45) ** 2)
        # What looks at no film gets more into the lungs, so it is the baseline.
        assert found[kind]["even"] == pytest.approx((168 / 224) ** 2, abs=0.01)
        assert 0.6 < found[kind]["blob"] < 1
    with Image.open(tmp_path / "activation_maps.png") as picture:
        assert min(picture.size) > 300
