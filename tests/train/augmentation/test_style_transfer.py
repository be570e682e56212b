from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge_train.augmentation.style_transfer import adapt_fourier_domain, transfer_style
from cxr_edge_train.recipe import Augmentation
from synthetic import noisy_gradient

NOTHING = Augmentation(**{field.name: 0.0 for field in fields(Augmentation)})
ALWAYS = replace(NOTHING, spectrum=1.0)
FILM = noisy_gradient((96, 80), seed=1)
OTHER = np.clip(noisy_gradient((96, 80), seed=2) // 3 + 150, 0, 255).astype(np.uint8)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_shape_and_type_stay_and_the_film_is_left_alone(seed: int) -> None:
    before = FILM.copy()
    changed = transfer_style(FILM, ALWAYS, np.random.default_rng(seed), lambda: OTHER)
    assert (changed.shape, changed.dtype) == (FILM.shape, np.uint8)
    np.testing.assert_array_equal(FILM, before)


def test_without_any_setting_no_other_film_is_drawn() -> None:
    def drawn() -> NDArray[np.uint8]:
        raise AssertionError

    random = np.random.default_rng(0)
    np.testing.assert_array_equal(transfer_style(FILM, NOTHING, random, drawn), FILM)
    # What is drawn next is what was drawn before styles were transferred.
    assert random.random() == np.random.default_rng(0).random()


def test_film_with_its_own_style_stays_nearly_as_it_is() -> None:
    changed = transfer_style(FILM, ALWAYS, np.random.default_rng(0), lambda: FILM)
    assert np.abs(changed.astype(int) - FILM).max() <= 1


def test_spectrum_changes_what_is_coarse_and_keeps_what_is_fine() -> None:
    calm = (FILM // 2 + 60).astype(np.uint8)  # so that nothing is cut off at black or white
    changed = transfer_style(calm, ALWAYS, np.random.default_rng(3), lambda: OTHER)
    assert abs(changed.mean() - calm.mean()) > 2
    fine = [np.diff(film.astype(int), axis=1) for film in (calm, changed)]
    assert np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("frequencies", [1, 2, 3])
def test_low_frequencies_of_either_direction_are_adapted_alike(frequencies: int) -> None:
    rows, columns = (np.arange(96) / 96)[:, np.newaxis], np.arange(80) / 80

    def waves(height: float) -> NDArray[np.uint8]:
        falling, rising = (np.cos(2 * np.pi * (rows + sign * columns)) for sign in (-1, 1))
        film = 128 + height * (falling + rising + np.cos(2 * np.pi * rows))
        return np.round(film).astype(np.uint8)

    changed = adapt_fourier_domain(waves(10), waves(30), frequencies=frequencies, share=1.0)
    # One wave along each side is the second frequency, after the mean.
    np.testing.assert_allclose(changed, waves(10 if frequencies == 1 else 30), atol=1)
