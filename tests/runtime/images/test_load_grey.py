"""What is not a file: Pillow images, arrays, bytes, and what is no image at all."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.errors import (
    ImageError,
    ImageNotFound,
    ImageNotReadable,
    ImageTooLarge,
    ImageTooSmall,
    UnreadableImage,
    UnsupportedImage,
)
from cxr_edge_runtime.images import GreyImage, decoding_limits, load_grey
from synthetic import encoded, jpeg_with_exif, noisy_gradient

GREY = noisy_gradient((80, 64), seed=3)


def pillow(mode: str) -> Image.Image:
    """An image of a mode that Pillow can store as PNG or TIFF."""
    if mode in ("I;16", "I"):
        return Image.fromarray(GREY.astype(np.uint16) * 200).convert(mode)
    image = Image.fromarray(np.dstack([GREY, GREY[:, ::-1], 255 - GREY]))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(GREY[::-1].copy()))
        return image
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "format_"),
    [
        ("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "PNG"), ("RGBA", "PNG"),
        ("I;16", "PNG"), ("I;16", "TIFF"), ("CMYK", "TIFF"), ("YCbCr", "TIFF"),
    ],
)  # fmt: skip
def test_pillow_image_is_converted_as_a_file_of_its_mode(mode: str, format_: str) -> None:
    image = pillow(mode)
    content = encoded(image, format_)
    from_file = load_grey(content)
    for given in (image, Image.open(io.BytesIO(content))):
        found = load_grey(given)
        np.testing.assert_array_equal(found.pixels, from_file.pixels)
        assert (found.mode, found.objections) == (from_file.mode, from_file.objections)


@pytest.mark.parametrize("mode", ["F", "LAB", "HSV"])
def test_pillow_modes_that_no_file_may_have_are_refused(mode: str) -> None:
    image = Image.new("RGB", (80, 64)).convert("L" if mode == "F" else "RGB").convert(mode)
    with pytest.raises(UnsupportedImage, match="export"):
        load_grey(image)


def test_exif_rotation_of_a_pillow_image_is_that_of_its_file() -> None:
    content = jpeg_with_exif(GREY)
    from_file = load_grey(content).pixels
    assert from_file.shape == (80, 64)
    for image in (Image.open(io.BytesIO(content)), Image.open(io.BytesIO(content)).convert("L")):
        np.testing.assert_array_equal(load_grey(image).pixels, from_file)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_rotation_of_a_pillow_image_of_a_tiff_is_that_of_its_file(
    tmp_path: Path, compression: str | None, orientation: int
) -> None:
    file = tmp_path / "turned.tiff"
    image = Image.fromarray(np.arange(100 * 80).reshape(100, 80).astype(np.uint8))
    image.save(file, compression=compression, tiffinfo={0x0112: orientation})
    opened = Image.open(file)
    np.testing.assert_array_equal(load_grey(opened).pixels, load_grey(file).pixels)
    assert Path(opened.filename) == file


def test_pillow_image_of_several_frames_gives_the_one_it_stands_at() -> None:
    second = Image.fromarray(255 - GREY)
    content = encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[second])
    image = Image.open(io.BytesIO(content))
    np.testing.assert_array_equal(load_grey(image).pixels, GREY)
    image.seek(1)
    np.testing.assert_array_equal(load_grey(image).pixels, 255 - GREY)


def test_animated_webp_is_refused_as_its_file_is() -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    content = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    for given in (content, Image.open(io.BytesIO(content))):
        with pytest.raises(UnsupportedImage, match="an animated WebP; export one frame"):
            load_grey(given)


def test_closed_and_broken_pillow_images_are_our_errors() -> None:
    content = encoded(Image.fromarray(noisy_gradient((300, 300), 0)), "PNG")
    lazy, loaded = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(content))
    loaded.load()
    broken = Image.open(io.BytesIO(content[: len(content) // 2]))
    lazy.close()
    loaded.close()
    for image in (lazy, loaded, broken):
        with pytest.raises(UnreadableImage, match="must be complete and the image still open"):
            load_grey(image)


@pytest.mark.parametrize(
    ("size", "error"), [((60, 90), ImageTooSmall), ((0, 0), ImageTooSmall), (None, ImageTooLarge)]
)
def test_limits_on_size_hold_without_a_file(
    size: tuple[int, int] | None, error: type[ImageError], monkeypatch: pytest.MonkeyPatch
) -> None:
    if size is None:
        size = (6000, 6000)
    array = np.broadcast_to(np.uint8(7), size[::-1])
    for given in (array, GreyImage(array, "", "L"), Image.new("L", size)):
        with pytest.raises(error):
            load_grey(given)


@pytest.mark.parametrize(
    "array",
    [
        GREY,
        GREY[::-1],
        GREY.T,
        np.asfortranarray(GREY),
        np.repeat(np.repeat(GREY, 2, axis=0), 2, axis=1)[::2, ::2],
        np.frombuffer(GREY.tobytes(), np.uint8).reshape(GREY.shape),  # read-only
    ],
    ids=["plain", "reversed", "transposed", "columns first", "every other", "read-only"],
)
def test_arrays_pass_unchanged_however_they_lie_in_memory(array: np.ndarray) -> None:
    found = load_grey(array).pixels
    np.testing.assert_array_equal(found, array)
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.dstack([GREY] * 3), r"convert\('L'\)"),
        (GREY[:, :, np.newaxis], "must be a NumPy array"),
        (GREY[0], "must be a NumPy array"),
        (np.array(7, np.uint8), "must be a NumPy array"),
        (np.empty(0, np.uint8), "must be a NumPy array"),
        (GREY / 255, "scale grey values to 0-255"),
        (GREY.astype(np.float32), "scale grey values to 0-255"),
        (GREY > 100, "scale grey values to 0-255"),
        (GREY.astype(np.int64), "scale grey values to 0-255"),
        (GREY.astype(np.int8), "scale grey values to 0-255"),
        (GREY.astype(">u2"), "scale grey values to 0-255"),
        (GREY.astype(object), "scale grey values to 0-255"),
        (np.ma.masked_less(GREY, 9), "not MaskedArray"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(array: np.ndarray, advice: str) -> None:
    for given in (array, GreyImage(array, "PNG", "L")):
        with pytest.raises(UnsupportedImage, match=advice):
            load_grey(given)


@pytest.mark.parametrize(
    "thing", [None, 3, 2.5, True, np.uint8(4), [GREY], (1, 2), {}, object(), io.BytesIO(b"x"), str]
)
def test_what_is_no_image_is_refused_with_what_may_be_given(thing: object) -> None:
    with pytest.raises(UnsupportedImage, match="give a path, the bytes of a file, a Pillow image"):
        load_grey(thing)


def test_bytes_of_every_kind_are_those_of_a_file() -> None:
    content = encoded(Image.fromarray(GREY), "PNG")
    for kind in (bytes, bytearray, memoryview):
        np.testing.assert_array_equal(load_grey(kind(content)).pixels, GREY)
        with pytest.raises(UnreadableImage, match="film: the file is empty"):
            load_grey(kind(b""), name="film")


def test_bytes_beyond_the_limit_are_refused_before_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding_limits, "MAX_BYTES", 100)
    with pytest.raises(ImageTooLarge, match="image: more than 0 MB"):
        load_grey(encoded(Image.fromarray(GREY), "PNG"))


def test_path_may_be_text_or_anything_that_has_one(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(GREY).save(path)

    class Own:
        def __fspath__(self) -> str:
            return str(path)

    with os.scandir(tmp_path) as entries:
        [entry] = entries
    for given in (path, str(path), Own(), entry):
        np.testing.assert_array_equal(load_grey(given).pixels, GREY)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("no-such-film.png", ImageNotFound),
        ("", ImageNotFound),
        (Path("no-such-film.png"), ImageNotFound),
        (".", ImageNotReadable),
        ("nul\0.png", ImageNotReadable),
        ("x" * 5000, ImageNotReadable),
    ],
)
def test_text_that_names_no_file_is_our_error(text: str | Path, error: type[ImageError]) -> None:
    with pytest.raises(error):
        load_grey(text)


def test_hash_is_that_of_the_file_else_of_the_pixels(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(GREY), "PNG")
    (tmp_path / "film.png").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert load_grey(content, hashed=True).sha256 == digest
    assert load_grey(tmp_path / "film.png", hashed=True).sha256 == digest
    without_file = {
        load_grey(given, hashed=True).sha256
        for given in (GREY, Image.fromarray(GREY), load_grey(content), np.asfortranarray(GREY))
    }
    assert len(without_file) == 1
    assert load_grey(np.ascontiguousarray(GREY.T), hashed=True).sha256 not in without_file
    assert load_grey(content).sha256 is load_grey(GREY).sha256 is None
    assert load_grey(load_grey(content, hashed=True), hashed=True).sha256 == digest


@pytest.mark.parametrize("kind", [lambda image: image, np.asarray, encoded])
def test_time_of_decoding_is_kept_with_the_image(kind: Callable[..., object]) -> None:
    image = Image.fromarray(noisy_gradient((900, 900), 0))
    found = load_grey(encoded(image, "PNG") if kind is encoded else kind(image))
    assert 0 < found.decode_ms < 60_000
    assert load_grey(found) is found


@pytest.mark.parametrize(
    ("least_side", "factor"), [(None, 1), (401, 1), (400, 2), (201, 2), (200, 4), (100, 8), (9, 8)]
)
def test_jpeg_is_decoded_at_a_reduced_size_of_which_both_sides_keep_enough(
    least_side: int | None, factor: int
) -> None:
    jpeg = encoded(Image.fromarray(noisy_gradient((1008, 800), seed=0)), "JPEG", quality=95)
    found = load_grey(jpeg, least_side=least_side).pixels
    assert found.shape == (800 // factor, 1008 // factor)
    blocks = load_grey(jpeg).pixels.reshape(800 // factor, factor, -1, factor)
    assert np.abs(found - blocks.mean(axis=(1, 3))).mean() <= 0.6


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_other_files_are_decoded_at_their_own_size(format_: str) -> None:
    grey = noisy_gradient((1008, 800), seed=0)
    content = encoded(Image.fromarray(grey), format_)
    np.testing.assert_array_equal(load_grey(content, least_side=100).pixels, grey)


def test_reduced_jpeg_is_turned_and_its_colours_are_seen() -> None:
    turned = jpeg_with_exif(noisy_gradient((1008, 800), seed=0))
    assert load_grey(turned, least_side=100).pixels.shape == (126, 100)
    photograph = np.full((800, 1008, 3), (200, 90, 40), np.uint8)
    coloured = encoded(Image.fromarray(photograph), "JPEG")
    assert load_grey(coloured, least_side=100).objections == ("colour image",)
