import numpy as np
import pytest
from PIL import Image, ImageDraw

from cxr_edge_runtime.images.heatmap import draw_heatmap
from cxr_edge_runtime.preprocess import WHOLE_FILM, Box

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


@pytest.mark.parametrize(("size", "width"), [((64, 200_000), 1024), ((200_000, 64), 1)])
@pytest.mark.parametrize("box", [None, Box(0.1, 0.2, 0.9, 0.8)])
def test_long_films_have_a_pixel_on_the_short_side(
    size: tuple[int, int], width: int, box: Box | None
) -> None:
    pixels, flat = np.zeros(size, np.uint8), np.zeros((7, 7), np.float32)
    picture = draw_heatmap(pixels, flat, CAPTIONS, positive_label="X", box=box)
    assert picture.width == width


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
    assert (lines == 1).sum() >= 2  # a line each at least
    # Colours are explained where there are any.
    assert drawn(np.ones((7, 7)), grey=0, size=size).height > picture.shape[0]
    assert (below[:, :2] == 0).all()
    assert (below[:, -2:] == 0).all()
    assert (below[-2:] == 0).all()


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_map_without_support_has_no_orange(value: float) -> None:
    picture = np.asarray(drawn(np.full((7, 7), value))).astype(int)[:384]
    assert (picture[..., 0] <= picture[..., 2]).all()


YELLOW = (240, 228, 66)


def boxed(box: Box, activation: float = 8.0, *, grey: int = 100) -> np.ndarray:
    """A film of 512 x 384 pixels with a map on a box, without the lines below it."""
    return np.asarray(
        draw_heatmap(
            np.full((300, 400), grey, np.uint8),
            np.full((7, 7), activation, np.float32),
            CAPTIONS,
            positive_label="X",
            box=box,
        )
    )[:384]


def test_map_is_drawn_on_the_box_alone_and_the_box_is_outlined() -> None:
    picture = boxed(Box(0.25, 0.5, 0.75, 0.875)).astype(int)
    left, top, right, bottom = 128, 192, 384, 336
    outside = picture.copy()
    outside[top:bottom, left:right] = 100
    assert (outside == 100).all()  # the film as it was
    inside = picture[top + 2 : bottom - 2, left + 2 : right - 2]
    assert (inside[..., 0] > inside[..., 2] + 50).all()
    for line in (picture[top, left:right], picture[bottom - 1, left:right],
                 picture[top:bottom, left], picture[top:bottom, right - 1]):  # fmt: skip
        assert (line == YELLOW).all()


def test_cells_are_finer_in_a_box() -> None:
    activation = np.zeros((7, 7), np.float32)
    activation[3, 3] = 10
    width = []
    for box in (None, Box(0.25, 0.25, 0.75, 0.75)):
        picture = draw_heatmap(
            np.full((512, 512), 100, np.uint8), activation, CAPTIONS, positive_label="X", box=box
        )
        row = np.asarray(picture).astype(int)[256, 140:372]
        width.append((row[:, 0] > row[:, 2] + 40).sum())
    assert width[1] == pytest.approx(width[0] / 2, abs=2)


@pytest.mark.parametrize(
    "box", [WHOLE_FILM, Box(0.0, 0.9999, 0.0001, 1.0), Box(0.3, 0.0, 1.0, 1.0)]
)
def test_outline_of_any_box_is_inside_the_film(box: Box) -> None:
    picture = boxed(box)
    assert (picture == YELLOW).all(axis=-1).any()
    assert picture.shape == (384, 512, 3)


def test_film_without_a_box_has_neither_outline_nor_a_word_of_it() -> None:
    whole, plain = boxed(WHOLE_FILM), np.asarray(drawn(np.full((7, 7), 8.0)))[:384]
    assert not (plain == YELLOW).all(axis=-1).any()
    np.testing.assert_array_equal(whole[2:-2, 2:-2], plain[2:-2, 2:-2])


def test_line_below_says_what_the_box_is(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    write = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda self, place, line, **how: (said.append(line), write(self, place, line, **how)),
    )
    drawn(np.zeros((7, 7)))
    assert "the box is what" not in " ".join(said)
    boxed(WHOLE_FILM)
    assert " ".join(said).endswith("the map is coarse; the box is what the model looked at")
