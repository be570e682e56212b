from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxr_edge_train.augmentation import augment, random_crop
from cxr_edge_train.recipe import Augmentation
from synthetic import noisy_gradient

NOTHING = Augmentation(**{field.name: 0.0 for field in fields(Augmentation)} | {"crop": 1.0})
PROBABILITIES = [
    "equalize", "sharpness", "blur", "resolution", "noise", "jpeg", "marker", "erase",
]  # fmt: skip
STRENGTHS = ["rotation", "gamma", "contrast", "brightness"]


def test_every_setting_is_tested_below() -> None:
    assert {field.name for field in fields(Augmentation)} == {
        *PROBABILITIES,
        *STRENGTHS,
        "crop",  # tested by itself
    }


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_shape_and_type_stay(seed: int) -> None:
    pixels = noisy_gradient((96, 80), seed=1)
    always = replace(Augmentation(), **dict.fromkeys(PROBABILITIES, 1.0))
    for chosen in (Augmentation(), always):
        changed = augment(pixels, chosen, np.random.default_rng(seed))
        assert changed.shape == pixels.shape
        assert changed.dtype == np.uint8


def test_the_same_seed_gives_the_same_image() -> None:
    pixels = noisy_gradient((96, 80), seed=1)
    first, second = (augment(pixels, Augmentation(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_without_any_setting_nothing_changes() -> None:
    pixels = noisy_gradient((96, 80), seed=1)
    np.testing.assert_array_equal(augment(pixels, NOTHING, np.random.default_rng(0)), pixels)


@pytest.mark.parametrize("name", PROBABILITIES + STRENGTHS)
def test_each_setting_alone_changes_the_image(name: str) -> None:
    pixels = noisy_gradient((96, 80), seed=1)
    strength = {"rotation": 10.0}.get(name, 0.3 if name in STRENGTHS else 1.0)
    changed = [
        augment(pixels, replace(NOTHING, **{name: strength}), np.random.default_rng(seed))
        for seed in range(5)
    ]
    assert any((image != pixels).any() for image in changed)


def test_the_given_image_is_left_alone() -> None:
    pixels = noisy_gradient((96, 80), seed=1)
    before = pixels.copy()
    augment(pixels, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(pixels, before)


def test_left_stays_left() -> None:
    pixels = np.zeros((96, 96), np.uint8)
    pixels[:, :40] = 200
    for seed in range(30):
        moved = augment(pixels, replace(NOTHING, rotation=10.0), np.random.default_rng(seed))
        assert moved[:, :48].mean() > moved[:, 48:].mean()


def test_without_crop_the_film_is_only_resized() -> None:
    pixels = noisy_gradient((96, 80), seed=1)
    whole = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
    crop = random_crop(pixels, 64, NOTHING, np.random.default_rng(0))
    np.testing.assert_array_equal(crop, np.asarray(whole))


@given(st.integers(0, 10_000), st.floats(0.01, 1))
def test_a_crop_has_the_area_and_the_aspect_that_were_asked_for(seed: int, smallest: float) -> None:
    # Grey rises by one from column to column, and in the other film from row to row.
    columns = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    settings = replace(NOTHING, crop=smallest)
    width, height = (
        np.ptp(random_crop(film, 200, settings, np.random.default_rng(seed)).astype(int)) / 199
        for film in (columns, np.ascontiguousarray(columns.T))
    )
    assert smallest - 0.03 <= width * height <= 1
    assert 3 / 4 - 0.1 <= width / height <= 4 / 3 + 0.1


def test_crops_reach_all_of_the_film_and_nothing_outside() -> None:
    pixels = np.full((60, 60), 200, np.uint8)
    settings = replace(NOTHING, crop=0.1)
    crops = [random_crop(pixels, 32, settings, np.random.default_rng(seed)) for seed in range(50)]
    assert all((crop == 200).all() for crop in crops)
    for corner in (np.s_[:3, :3], np.s_[:3, -3:], np.s_[-3:, :3], np.s_[-3:, -3:]):
        marked = pixels.copy()
        marked[corner] = 0
        crops = [random_crop(marked, 32, settings, np.random.default_rng(n)) for n in range(200)]
        assert 0 < sum((crop < 100).any() for crop in crops) < 200
