import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.images.heatmap import draw_heatmap

CAPTIONS = ("PNEUMONIA, probability of PNEUMONIA 0.98; input gate: accepted", "A notice. " * 5)


def drawn(activation: np.ndarray, *, grey: int = 100, size: tuple[int, int] = (300, 400)) -> Image:
    pixels = np.full(size, grey, np.uint8)
    return draw_heatmap(pixels, activation.astype(np.float32), CAPTIONS, positive_label="X")


def test_what_speaks_for_is_orange_and_what_speaks_against_blue() -> None:
    activation = np.zeros((7, 7))
    activation[1, 1], activation[5, 5] = 10, -10
    picture = np.asarray(drawn(activation)).astype(int)
    red, _, blue = picture[384 * 3 // 14, 512 * 3 // 14]
    assert red > blue + 50
    red, _, blue = picture[384 * 11 // 14, 512 * 11 // 14]
    assert blue > red + 30
    # Between them the film is as it was.
    assert (picture[192, 256] == 100).all()


def test_picture_has_the_films_shape_and_a_side_of_512_to_1024_pixels() -> None:
    small, large = drawn(np.zeros((7, 7))), drawn(np.zeros((7, 7)), size=(3000, 1500))
    assert small.width == 512
    assert 384 < small.height < 384 + 120
    assert large.width == 512
    assert 1024 < large.height < 1024 + 120
    assert small.mode == "RGB"


def test_network_that_hardly_decides_stays_pale() -> None:
    strong, weak = (np.asarray(drawn(np.full((7, 7), value))).astype(int) for value in (8.0, 0.4))
    changed = [np.abs(picture[:384] - 100).mean() for picture in (strong, weak)]
    assert changed[1] < changed[0] / 5


@pytest.mark.parametrize("size", [(300, 400), (224, 224), (70, 200), (900, 310)])
def test_captions_are_drawn_below_the_film_and_none_is_cut_off(size: tuple[int, int]) -> None:
    picture = np.asarray(drawn(np.zeros((7, 7)), grey=0, size=size))[..., 0]
    height = round(picture.shape[1] * size[0] / size[1])
    assert (picture[: height - 1] == 0).all()
    below = picture[height + 1 :]
    lines = np.diff((below.max(axis=1) > 128).astype(int), prepend=0)
    assert (lines == 1).sum() >= 3  # a line each at least
    assert (below[:, :2] == 0).all()
    assert (below[:, -2:] == 0).all()
    assert (below[-2:] == 0).all()


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_map_without_support_has_no_orange(value: float) -> None:
    picture = np.asarray(drawn(np.full((7, 7), value))).astype(int)[:384]
    assert (picture[..., 0] <= picture[..., 2]).all()
