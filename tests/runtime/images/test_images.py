import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cxr_edge_runtime.errors import (
    ImageError,
    ImageNotFound,
    ImageNotReadable,
    ImageTooLarge,
    UnreadableImage,
    UnsupportedImage,
)
from cxr_edge_runtime.images import (
    decoding_limits,
    image_warnings,
    load_grey,
    read_bytes,
)
from synthetic import encoded, jpeg_with_exif, noisy_gradient


@pytest.fixture
def grey() -> np.ndarray:
    return noisy_gradient((90, 70), seed=1)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_pixels_that_were_stored(grey: np.ndarray, format_: str) -> None:
    decoded = load_grey(encoded(Image.fromarray(grey), format_))
    np.testing.assert_array_equal(decoded.pixels, grey)
    assert (decoded.format, decoded.mode) == (format_, "L")


@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_lossy_formats_come_close(grey: np.ndarray, format_: str) -> None:
    smooth = np.sort(grey, axis=1)
    decoded = load_grey(encoded(Image.fromarray(smooth), format_, quality=95)).pixels
    assert np.abs(decoded.astype(int) - smooth).mean() < 3


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound, match=r"nowhere\.png: no such file"):
        load_grey(tmp_path / "nowhere.png")


def test_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageNotReadable, match="is a folder"):
        load_grey(tmp_path)


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.png")
    with pytest.raises(ImageNotReadable, match="is a pipe or device"):
        load_grey(tmp_path / "film.png")


def test_twelve_bits_stored_as_sixteen_are_warned_of(grey: np.ndarray) -> None:
    samples = grey.astype(np.uint16) * 16
    [warning] = image_warnings(load_grey(encoded(Image.fromarray(samples), "PNG")).pixels)
    assert warning.startswith("low contrast: grey values lie between 0 and 16 of 255")
    assert image_warnings(grey) == ()


def test_no_original_is_warned_of(shared: Path) -> None:
    for path in sorted((shared / "data/originals").glob("*/*"))[::10]:
        assert image_warnings(load_grey(path).pixels) == ()


def test_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.jpeg").touch()
    with pytest.raises(UnreadableImage, match="the file is empty"):
        load_grey(tmp_path / "empty.jpeg")


def test_text_named_jpeg_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "note.jpeg"
    path.write_text("The lungs are clear." * 50)
    with pytest.raises(UnreadableImage, match="not a JPEG, PNG, TIFF, BMP, WebP or DICOM"):
        load_grey(path)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
def test_truncated_image_is_damaged(grey: np.ndarray, format_: str, share: float) -> None:
    content = encoded(Image.fromarray(grey), format_)
    with pytest.raises(UnreadableImage):
        load_grey(content[: int(len(content) * share)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_rights_is_named(make_image: Callable[..., Path]) -> None:
    path = make_image()
    path.chmod(0)
    with pytest.raises(ImageNotReadable, match="permission denied"):
        load_grey(path)


def test_permission_error_of_the_system_is_one_line(
    make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_image()

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageNotReadable, match="permission denied"):
        load_grey(path)


def test_other_error_of_the_system_is_one_line(
    make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_image()

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(5, "Input/output error")  # of a card that wears out

    monkeypatch.setattr(Path, "open", broken)
    with pytest.raises(ImageNotReadable, match=r"film\.png: cannot be read \(.*Input/output error"):
        load_grey(path)


def test_file_of_too_many_bytes_is_refused(
    make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_limits, "MAX_BYTES", 1000)
    with pytest.raises(ImageTooLarge, match="more than"):
        read_bytes(make_image())


@given(st.integers(0, 65_535))
def test_sixteen_bits_are_scaled_by_their_full_range(value: int) -> None:
    samples = np.full((64, 64), value, dtype=np.uint16)
    pixels = load_grey(encoded(Image.fromarray(samples), "PNG")).pixels
    assert np.unique(pixels).tolist() == [round(value * 255 / 65_535)]


def test_sixteen_bit_tiff_of_either_byte_order() -> None:
    samples = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    little = load_grey(encoded(Image.fromarray(samples), "TIFF")).pixels
    big = Image.frombytes("I;16B", (64, 64), samples.astype(">u2").tobytes())
    np.testing.assert_array_equal(load_grey(encoded(big, "TIFF")).pixels, little)
    assert little.max() == round(int(samples.max()) / 257)


@pytest.mark.parametrize(
    "samples",
    [
        np.full((64, 64), 70_000, dtype=np.int32),
        np.full((64, 64), 255, dtype=np.int32),
        np.full((64, 64), 0.5, dtype=np.float32),
    ],
    ids=["more than 16 bits", "32 bits of which 8 are used", "floating point"],
)
def test_deeper_samples_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(UnsupportedImage, match="export it as 8 or 16 bits"):
        load_grey(encoded(Image.fromarray(samples), "TIFF"))


@pytest.mark.parametrize(
    ("mode", "format_"), [("RGB", "PNG"), ("P", "PNG"), ("CMYK", "TIFF"), ("RGBA", "PNG")]
)
def test_grey_stored_in_colour_stays_the_same_grey(
    grey: np.ndarray, mode: str, format_: str
) -> None:
    image = Image.fromarray(grey)
    stored = image.convert("P") if mode == "P" else image.convert("RGB").convert(mode)
    decoded = load_grey(encoded(stored, format_))
    assert decoded.mode == mode
    np.testing.assert_allclose(decoded.pixels.astype(int), grey, atol=1)


def test_transparency_is_laid_over_black() -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    assert load_grey(encoded(image, "PNG")).pixels.max() == 0
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.paste(0, (0, 0, 32, 64))
    assert load_grey(encoded(palette, "PNG")).pixels.max() == 255
    assert load_grey(encoded(palette, "PNG", transparency=1)).pixels.max() == 0


def test_sixteen_bit_tiff_whose_lowest_sample_is_white_is_turned_round() -> None:
    samples = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    content = encoded(Image.fromarray(samples), "TIFF")
    # PhotometricInterpretation (262), SHORT, one value: from BlackIsZero (1) to WhiteIsZero (0).
    entries = [struct.pack("<HHIHH", 262, 3, 1, value, 0) for value in (1, 0)]
    assert content.count(entries[0]) == 1
    turned = load_grey(content.replace(*entries)).pixels
    np.testing.assert_array_equal(turned, 255 - load_grey(content).pixels)


def twelve_bit_tiff(value: int) -> bytes:
    """An uncompressed little-endian TIFF, 64x64, two 12-bit samples in three bytes."""
    row = bytes([value >> 4, (value & 15) << 4 | value >> 8, value & 255]) * 32
    tags = [(256, 64), (257, 64), (258, 12), (259, 1), (262, 1), (273, 122), (278, 64)]
    tags.append((279, len(row) * 64))
    header = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags)
    head = header + entries + struct.pack("<I", 0)
    return head.ljust(122, b"\0") + row * 64


@pytest.mark.parametrize("value", [0, 2048, 4095])
def test_twelve_bit_samples_are_scaled_by_their_own_full_range(value: int) -> None:
    pixels = load_grey(twelve_bit_tiff(value)).pixels
    assert np.unique(pixels).tolist() == [round(value * 255 / 4095)]


def test_colours_without_a_known_light_are_refused() -> None:
    with pytest.raises(UnsupportedImage, match="colour mode LAB; export it as grey or RGB"):
        load_grey(encoded(Image.new("LAB", (64, 64)), "TIFF"))


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"])
)
def test_arbitrary_bytes_raise_image_errors_only(content: bytes, magic: bytes) -> None:
    with pytest.raises(ImageError):
        load_grey(magic + content)


@given(st.data())
def test_damaged_image_decodes_or_raises_image_errors_only(data: st.DataObject) -> None:
    format_ = data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "WEBP"]))
    film = noisy_gradient((64, 64), 0)
    plain = encoded(Image.fromarray(film), format_)
    content = bytearray(jpeg_with_exif(film) if data.draw(st.booleans()) else plain)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = load_grey(bytes(content)).pixels
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2


def test_every_original_decodes(shared: Path) -> None:
    for path in sorted((shared / "data/originals").glob("*/*"))[::20]:
        pixels = load_grey(path).pixels
        assert min(pixels.shape) > 300
