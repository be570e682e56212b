from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import film_changes
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from scripts import load_script

behaviour = load_script("models/release/model_behaviour.py")


class CornerReader:
    """A model that relies on the grey of the upper left corner alone, and shows it."""

    threshold, temperature = 0.5, 1.0
    operating_point = SimpleNamespace(
        threshold=0.5, temperature=1.0, probabilities=lambda logits: 1 / (1 + np.exp(-logits))
    )
    identity = SimpleNamespace(bundle="corner-reader")
    prepare = Preprocessor(PreprocessSpec(80, 80))

    def logits(self, images: Any) -> np.ndarray:
        return np.array([image[0, 0, 0, 0] / 255 - 0.5 for image in images])

    def activation_maps(self, images: np.ndarray) -> np.ndarray:
        maps = np.zeros((len(images), 5, 5), dtype=np.float32)
        maps[:, 0, 0] = images[:, 0, 0, 0] / 255 - 0.5
        return maps


FILMS = np.random.default_rng(0).integers(90, 110, (40, 80, 80, 1)).astype(np.uint8)
LABELS = np.repeat([0, 1], 20)
FILMS[LABELS == 1, 0, 0] = 200
FILMS[[0, 1], 0, 0] = 200  # two false alarms
FILMS[20:23, 0, 0] = 20  # three missed


def test_share_in_the_box_counts_only_evidence_for_the_decision() -> None:
    left, top, right, bottom = film_changes.LUNGS
    inside = np.zeros((100, 100), dtype=np.float32)
    inside[40:60, 40:60] = 1.0
    assert behaviour.share_in_lungs(inside) == 1.0
    assert behaviour.share_in_lungs(-inside) == 0.0
    corner = np.zeros_like(inside)
    corner[:5, :5] = 1.0
    assert behaviour.share_in_lungs(corner) == 0.0
    even = behaviour.share_in_lungs(np.ones((5, 5), dtype=np.float32))
    assert even == pytest.approx((right - left) * (bottom - top), abs=0.02)
    middle = np.zeros((5, 5), dtype=np.float32)
    middle[2, 2] = 1.0
    assert behaviour.share_in_lungs(middle) == 1.0  # enlarging adds no ripples


def test_model_that_reads_a_corner_is_found_out() -> None:
    before = behaviour.predicted(CornerReader(), FILMS)
    found = behaviour.shortcuts(CornerReader(), FILMS, LABELS, before)
    assert found["unchanged"]["mean_probability_shift"] == 0
    assert found["unchanged"]["NORMAL"]["right"] == pytest.approx(18 / 20)
    assert found["unchanged"]["PNEUMONIA"]["right"] == pytest.approx(17 / 20)
    corners = found["corners blacked out"]
    assert corners["auc"] == 0.5
    assert corners["PNEUMONIA"]["right"] == 0.0
    assert corners["PNEUMONIA"]["shift"] < -0.1
    assert corners["decisions_changed"] == pytest.approx((2 + 17) / 40)


def test_right_decisions_false_alarms_and_missed_ones_are_shown() -> None:
    labels = np.repeat([0, 1], 50)
    probability = np.linspace(0.2, 0.8, 100)
    probability[:20] = np.linspace(0.9, 0.7, 20)
    probability[50:52] = (0.1, 0.3)
    rows = behaviour.shown_rows(labels, probability, 0.5)
    right, wrong = rows[: behaviour.SHOWN], rows[behaviour.SHOWN :]
    assert ((probability[right] >= 0.5) == labels[right]).all()
    # Of missed ones there are two, furthest off first; false alarms fill up.
    assert wrong.tolist() == [*range(8), 50, 51]


def test_maps_tell_right_decisions_from_both_kinds_of_wrong_ones(tmp_path: Path) -> None:
    rows = pd.DataFrame({"label": np.where(LABELS == 1, "PNEUMONIA", "NORMAL")})
    before = behaviour.predicted(CornerReader(), FILMS)
    found = behaviour.maps(CornerReader(), FILMS, rows, before, tmp_path)
    assert found["cells"] == [5, 5]
    # What looks at no film gets nearly everything into the box, so it is the baseline.
    assert 0.8 < found["blob_share_in_box"] < 1
    assert found["right"]["films"] == 10
    assert found["false alarms"]["films"] == 2
    assert found["missed"]["films"] == 3
    # The corner's cell is 20 by 20 of 100, of which the box holds 12 by 10.
    for kind in ("right", "false alarms", "missed"):
        assert found[kind]["mean_share_in_box"] == pytest.approx(0.3)
    with Image.open(tmp_path / "activation_maps.png") as picture:
        assert min(picture.size) > 300


def test_picture_holds_no_film() -> None:
    assert set(np.unique(behaviour.box_alone(160))) == {0, 255}
