import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.heatmap import draw_heatmap


def drawn(activation: np.ndarray, *, grey: int = 100, size: tuple[int, int] = (300, 400)) -> Image:
    pixels = np.full(size, grey, np.uint8)
    return draw_heatmap(pixels, activation.astype(np.float32), "caption", positive_label="X")


def test_what_speaks_for_is_orange_and_what_speaks_against_blue() -> None:
    activation = np.zeros((7, 7))
    activation[1, 1], activation[5, 5] = 10, -10
    picture = np.asarray(drawn(activation)).astype(int)
    red, _, blue = picture[300 // 7 * 3 // 2, 400 // 7 * 3 // 2]
    assert red > blue + 50
    red, _, blue = picture[300 * 11 // 14, 400 * 11 // 14]
    assert blue > red + 30
    # Between them the film is as it was.
    assert (picture[150, 200] == 100).all()


def test_picture_has_the_films_shape_and_at_most_1024_pixels_a_side() -> None:
    small, large = drawn(np.zeros((7, 7))), drawn(np.zeros((7, 7)), size=(3000, 1500))
    assert small.size == (400, 300 + 44)
    assert large.size == (512, 1024 + 44)
    assert small.mode == "RGB"


def test_network_that_hardly_decides_stays_pale() -> None:
    strong, weak = (np.asarray(drawn(np.full((7, 7), value))).astype(int) for value in (8.0, 0.4))
    changed = [np.abs(picture[:300] - 100).mean() for picture in (strong, weak)]
    assert changed[1] < changed[0] / 5


def test_caption_is_drawn_below_the_film() -> None:
    picture = np.asarray(drawn(np.zeros((7, 7)), grey=0))
    assert (picture[:300] == 0).all()
    assert picture[300:322].max() == 255  # the caption
    assert picture[322:].max() == 255  # what the colours mean


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_map_without_support_has_no_orange(value: float) -> None:
    picture = np.asarray(drawn(np.full((7, 7), value))).astype(int)[:300]
    assert (picture[..., 0] <= picture[..., 2]).all()
