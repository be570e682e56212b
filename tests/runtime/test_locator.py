from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFilter import GaussianBlur

from cxr_edge_convert.formats.models import float32_model
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleCorrupted, EngineError
from cxr_edge_runtime.locator import NO_DETAIL, Locator, Preprocessor, open_locator
from cxr_edge_runtime.lungs import Lungs
from cxr_edge_runtime.preprocess import WHOLE_FILM, Box, PreprocessSpec, preprocess
from locators import FILE, TWO_LUNGS, drawn_film, located_bundle, small_network
from lung_masks import LEFT, RIGHT, mask

SPEC = PreprocessSpec.of_version(2, size=32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(located_bundle(tmp_path_factory.mktemp("located") / "tiny"))


@pytest.fixture(scope="module")
def locator(bundle: Bundle) -> Locator:
    opened = open_locator(bundle)
    assert opened is not None
    return opened


def test_bundle_without_a_locator_has_none(golden_bundle: Path) -> None:
    assert open_locator(Bundle.load(golden_bundle)) is None


def test_lungs_are_found_in_a_film_of_any_size_and_shape(locator: Locator) -> None:
    expected = locator.lungs(drawn_film(*TWO_LUNGS))
    assert expected is not None
    assert 32 * expected.box.left == pytest.approx(5.56, abs=32 / 1024)
    for factors in ((4, 4), (4, 1), (1, 3)):
        larger = np.kron(drawn_film(*TWO_LUNGS), np.ones(factors, np.uint8))
        found = locator.lungs(larger)
        assert found is not None
        assert found.box.in_pixels(1, 1) == pytest.approx(expected.box.in_pixels(1, 1), abs=0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_mask_that_is_no_number_is_no_answer(value: float) -> None:
    class Broken:
        name, kernels = "broken", "none"

        def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            cells = mask(LEFT, RIGHT)
            cells[0, 0] = value
            return {"mask": cells[np.newaxis, :, :, np.newaxis]}

    with pytest.raises(EngineError, match="broken computed no finite number for the lung mask"):
        Locator(Broken(), margin=1.2).lungs(drawn_film(*TWO_LUNGS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": 16}, r"the model's mask has shape \[1, 16, 16, 1\], not \[1, 32, 32"),
        ({"output": "lungs"}, r"\['image'\] -> \['lungs'\], expected .* \['mask'\]"),
        (None, "the model is not a TFLite file"),
    ],
)
def test_locator_other_than_the_contract_is_refused(
    tmp_path: Path, changes: dict[str, Any] | None, message: str
) -> None:
    model = b"no model"
    if changes is not None:
        model = float32_model(small_network(**changes), "tflite")
    other = Bundle.load(located_bundle(tmp_path / "other", model))
    with pytest.raises(EngineError, match=rf"locator\.tflite, the lung locator: .*{message}"):
        open_locator(other)


def test_locator_with_one_flipped_byte_is_refused(tmp_path: Path) -> None:
    folder = located_bundle(tmp_path / "damaged")
    loaded = Bundle.load(folder)
    content = bytearray((folder / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / FILE).write_bytes(content)
    for use in (Bundle.load, lambda _: open_locator(loaded)):
        with pytest.raises(BundleCorrupted, match=r"locator\.tflite: differs from its recorded"):
            use(folder)
    (folder / FILE).unlink()
    with pytest.raises(BundleCorrupted, match=r"locator\.tflite: the file is missing"):
        Bundle.load(folder)


def test_preprocessor_shows_the_box_with_its_margin(locator: Locator) -> None:
    film = drawn_film(*TWO_LUNGS)
    lungs = locator.lungs(film)
    assert lungs is not None
    prepared = Preprocessor(SPEC, locator)(film)
    assert prepared.box == lungs.box.widened(1.2)
    np.testing.assert_array_equal(prepared.model_input, preprocess(film, SPEC, prepared.box))
    assert (prepared.objections, prepared.doubts) == ((), ())


def test_preprocessor_without_a_locator_shows_the_whole_film() -> None:
    film = drawn_film(*TWO_LUNGS)
    prepared = Preprocessor(PreprocessSpec(32, 32))(film)
    assert prepared.box is None
    np.testing.assert_array_equal(prepared.model_input, preprocess(film, SPEC))


def test_film_without_lungs_is_shown_whole_and_said_to_have_none(locator: Locator) -> None:
    film = drawn_film()
    prepared = Preprocessor(SPEC, locator)(film)
    assert (prepared.box, prepared.objections) == (None, ("no lungs found",))
    np.testing.assert_array_equal(prepared.model_input, preprocess(film, SPEC))


class _Masked:
    """An engine that gives one mask whatever a film shows."""

    name, kernels = "masked", "none"

    def __init__(self, cells: NDArray[np.float32]) -> None:
        self._mask = cells[np.newaxis, :, :, np.newaxis]

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {"mask": self._mask}


@pytest.mark.parametrize(
    ("width", "height", "found", "is_unsure"),
    [(2, 5, False, False), (2, 7, False, True), (5, 5, True, True), (6, 7, True, False)],
)
def test_lungs_of_nearly_too_few_cells_or_just_enough_are_not_sure(
    width: int, height: int, found: bool, is_unsure: bool
) -> None:
    locator = Locator(_Masked(mask((10, 10, 10 + width, 10 + height))), margin=1.2)
    prepared = Preprocessor(SPEC, locator)(drawn_film(*TWO_LUNGS))
    assert (prepared.box is not None, prepared.is_unsure) == (found, is_unsure)


class _Upright(Locator):
    """Finds lungs where the upper half of a film is darker than the lower one."""

    def __init__(self) -> None:
        self.margin = 1.0

    def lungs(self, pixels: NDArray[np.uint8], **_: float) -> Lungs | None:
        upper, lower = np.array_split(pixels.astype(float), 2)
        return Lungs(Box(0.25, 0.25, 0.75, 0.75), ()) if upper.mean() < lower.mean() - 50 else None


@pytest.mark.parametrize(
    ("film", "objections"),
    [
        (np.repeat(np.array([40, 200], np.uint8), 32)[:, np.newaxis], ()),
        (
            np.repeat(np.array([200, 40], np.uint8), 32)[:, np.newaxis],
            ("no lungs found", "upside down: rotate it by 180°"),
        ),
        (np.full((64, 1), 90, np.uint8), ("no lungs found",)),
    ],
    ids=["upright", "turned", "neither"],
)
def test_film_without_lungs_is_turned_to_see_whether_it_has_some(
    film: NDArray[np.uint8], objections: tuple[str, ...]
) -> None:
    prepared = Preprocessor(SPEC, _Upright())(np.tile(film, (1, 64)))
    assert prepared.objections == objections
    assert (prepared.box is None) == bool(objections)


def test_lungs_with_a_doubt_do_not_tell_how_a_film_is_turned(locator: Locator) -> None:
    film = drawn_film(TWO_LUNGS[0])
    flesh = 121 + 13 * (np.indices(film.shape).sum(axis=0) // 16 % 2)
    prepared = Preprocessor(SPEC, locator)(np.where(film > 100, flesh, 250).astype(np.uint8))
    assert prepared.objections == ("no lungs found",)


def test_negative_of_a_film_with_lungs_is_named(locator: Locator) -> None:
    film = drawn_film(*TWO_LUNGS)
    # Greys that are no lung, as they are and as a negative.
    flesh = 121 + 13 * (np.indices(film.shape).sum(axis=0) // 16 % 2)
    prepared = Preprocessor(SPEC, locator)(np.where(film > 100, flesh, 250).astype(np.uint8))
    assert prepared.objections[0] == "no lungs found"
    assert prepared.objections[1].startswith("inverted")


@pytest.mark.parametrize("grey", [0, 100, 128, 229, 255])
def test_picture_of_one_grey_has_no_lungs(locator: Locator, grey: int) -> None:
    assert locator.lungs(np.full((128, 128), grey, np.uint8)) is None


def test_lungs_that_are_cut_off_are_a_doubt_that_names_the_edge_of_the_picture(
    locator: Locator,
) -> None:
    prepared = Preprocessor(SPEC, locator)(drawn_film((0, 64, 112, 192), (144, 64, 208, 192)))
    assert prepared.doubts == ("lungs cut off at the left edge of the film",)
    assert prepared.box is not None
    assert prepared.box.left == 0


@pytest.mark.parametrize(
    ("radius", "doubts"),
    [((0, 0), ()), ((5, 5), (NO_DETAIL,)), ((9, 0), (NO_DETAIL,)), ((0, 9), (NO_DETAIL,))],
)
def test_film_without_fine_detail_in_one_direction_is_a_doubt(
    locator: Locator, radius: tuple[float, float], doubts: tuple[str, ...]
) -> None:
    film = Image.fromarray(drawn_film(*TWO_LUNGS)).filter(GaussianBlur(radius))
    prepared = Preprocessor(SPEC, locator)(np.asarray(film))
    assert prepared.box is not None
    assert prepared.doubts == doubts


def test_squashed_copy_and_its_original_give_nearly_the_same_input(locator: Locator) -> None:
    shading = np.linspace(0, 60, 1200)[:, np.newaxis] + np.linspace(0, 15, 1500)
    original = (np.kron(drawn_film(*TWO_LUNGS, size=(300, 300)), np.ones((4, 5))) + shading).astype(
        np.uint8
    )
    copy = preprocess(original, PreprocessSpec())[0, :, :, 0]
    one, other = (Preprocessor(SPEC, locator)(film) for film in (original, copy))
    assert one.box is not None
    assert one.box != WHOLE_FILM
    difference = one.model_input.astype(int) - other.model_input
    assert np.abs(difference).mean() < 1


def test_threads_that_share_a_locator_get_the_boxes_of_their_own_films(locator: Locator) -> None:
    films = [drawn_film((16 + 4 * n, 64, 112, 192), (144, 64, 208, 192)) for n in range(12)]
    alone = [locator.lungs(film) for film in films]
    assert len(set(alone)) > 5
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert list(pool.map(locator.lungs, films)) == alone


def test_two_threads_find_what_one_finds(bundle: Bundle, locator: Locator) -> None:
    other = open_locator(bundle, threads=2)
    assert other is not None
    assert other.lungs(drawn_film(*TWO_LUNGS)) == locator.lungs(drawn_film(*TWO_LUNGS))


def test_widened_box_ends_at_the_border_of_the_film() -> None:
    assert Box(0.25, 0.25, 0.75, 0.5).widened(1.5) == Box(0.125, 0.1875, 0.875, 0.5625)
    assert Box(0.0, 0.1, 1.0, 0.9).widened(1.25) == Box(0.0, 0.0, 1.0, 1.0)
    assert Box(0.25, 0.0, 0.75, 0.5).widened(1.0) == Box(0.25, 0.0, 0.75, 0.5)


@pytest.mark.parametrize(("size", "least_side"), [(32, 256), (100, 256), (128, 320), (224, 560)])
def test_reduced_film_keeps_the_pixels_of_the_model_input_in_a_small_box(
    locator: Locator, size: int, least_side: int
) -> None:
    prepare = Preprocessor(PreprocessSpec.of_version(2, size=size), locator)
    assert prepare.least_side == least_side


def test_film_that_is_shown_whole_is_not_reduced() -> None:
    assert Preprocessor(PreprocessSpec()).least_side is None
