import numpy as np
import pytest

from cxr_edge_train.locator import views
from cxr_edge_train.locator.views import random_view
from locators import lung_film

FILM, MASK = lung_film(0)


def view(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return random_view(FILM, MASK, np.random.default_rng(seed))


def test_view_and_outline_have_the_shapes_of_the_locator() -> None:
    image, outline = view(0)
    assert (image.shape, image.dtype) == ((128, 128), np.uint8)
    assert (outline.shape, outline.dtype) == ((32, 32), np.float32)
    assert outline.min() >= 0
    assert outline.max() <= 1


def test_same_state_gives_the_same_view_and_another_one_another() -> None:
    for one, again, other in zip(view(1), view(1), view(2)):
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)


def test_some_views_show_no_upright_film_and_no_lungs() -> None:
    empty = np.mean([not view(seed)[1].any() for seed in range(300)])
    assert 0.05 < empty < 0.16


def test_outline_moves_with_the_film(monkeypatch: pytest.MonkeyPatch) -> None:
    # Lungs are what is dark in the film; greys are changed by little here.
    monkeypatch.setattr(views, "augment", lambda film, *rest: film)
    monkeypatch.setattr(views, "_NO_FILM", 0.0)
    monkeypatch.setattr(views, "_BRIGHT_MARGINS", 1.0)
    monkeypatch.setattr(views, "_COVERED", 0.0)
    for seed in range(20):
        image, outline = view(seed)
        greys = image.reshape(32, 4, 32, 4).mean(axis=(1, 3))
        assert greys[outline > 0.99].max() < 110


def test_film_that_is_no_film_keeps_its_size() -> None:
    for seed in range(12):
        assert views._no_film(FILM, np.random.default_rng(seed)).shape == FILM.shape
