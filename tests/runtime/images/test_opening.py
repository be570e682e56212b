import contextlib
import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps

from cxr_edge_runtime.errors import ImageError, ImageTooLarge, ImageTooSmall, UnreadableImage
from cxr_edge_runtime.images import decoding_limits
from cxr_edge_runtime.images.decoding_limits import MAX_PIXELS, MIN_SIDE
from cxr_edge_runtime.images.grey import to_grey
from cxr_edge_runtime.images.opening import decode, opened
from cxr_edge_runtime.images.orientation import QUARTER_TURNS
from synthetic import encoded, jpeg_with_exif, noisy_gradient

GREY = noisy_gradient((90, 70), seed=1)


def upright(content: bytes) -> tuple[np.ndarray, Image.Transpose | None]:
    """The pixels as they should be seen, and how they were turned for that."""
    with opened(content, "film") as image:
        turn = decode(image)
        return to_grey(image, "film", turn=turn), turn


def with_orientation(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(GREY), "PNG", exif=exif)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size; its data is left out, so decoding it would fail otherwise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def test_one_pixel_is_too_small() -> None:
    content = encoded(Image.new("L", (1, 1)), "PNG")
    with pytest.raises(ImageTooSmall, match=f"1x1 pixels, each side needs at least {MIN_SIDE}"):
        upright(content)


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 9_500), (MAX_PIXELS // 100 + 1, 100)])
def test_huge_image_is_refused_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge, match="million"):
        upright(png_header(*size))


def test_mistake_of_whoever_reads_the_image_is_the_images_damage() -> None:
    content = encoded(Image.fromarray(GREY), "PNG")
    with (
        pytest.raises(UnreadableImage, match=r"^film: damaged image \(no such strip\)"),
        opened(content, "film"),
    ):
        raise OSError("no such strip")


def test_image_without_a_rotation_stays_as_it_is() -> None:
    pixels, turn = upright(encoded(Image.fromarray(GREY), "PNG"))
    np.testing.assert_array_equal(pixels, GREY)
    assert turn is None


def test_exif_rotation_is_applied() -> None:
    pixels, turn = upright(with_orientation(6))  # a quarter clockwise makes it upright
    np.testing.assert_array_equal(pixels, np.rot90(GREY, k=-1))
    assert turn in QUARTER_TURNS


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_that_of_pillow(orientation: int) -> None:
    content = with_orientation(orientation)
    reference = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    pixels, turn = upright(content)
    np.testing.assert_array_equal(pixels, np.asarray(reference))
    assert (turn in QUARTER_TURNS) == (pixels.shape != GREY.shape)


@pytest.mark.parametrize("position", range(2, 100))
def test_damaged_exif_does_not_make_a_film_unusable(position: int) -> None:
    content = bytearray(jpeg_with_exif(GREY))
    assert b"Exif" in content[:100]
    for value in (0x00, 0x7F, 0xFF):
        content[position] = value
        try:
            pixels, _ = upright(bytes(content))
        except UnreadableImage:
            continue  # the container itself was hit
        assert sorted(pixels.shape) == sorted(GREY.shape)


@pytest.mark.parametrize(("bytes_", "turned"), [(100_000, True), (100_001, False)])
def test_exif_larger_than_any_camera_writes_is_not_read(bytes_: int, turned: bool) -> None:
    with opened(with_orientation(6), "film") as image:
        image.load()
        image.info["exif"] = image.info["exif"].ljust(bytes_, b"\0")
        turn = decode(image)
    assert (turn in QUARTER_TURNS) is turned


@pytest.mark.parametrize("large", [True, False])
def test_large_image_is_decoded_while_no_other_is(
    monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    monkeypatch.setattr(decoding_limits, "LARGE_PIXELS", GREY.size - large)

    def free() -> bool:
        """Whether another thread could decode a large image now."""
        with ThreadPoolExecutor(1) as other:
            got = other.submit(decoding_limits._large.acquire, blocking=False).result()
            if got:
                other.submit(decoding_limits._large.release).result()
        return got

    with opened(encoded(Image.fromarray(GREY), "PNG"), "film"):
        assert free() is not large
    assert free()


def test_damaged_tiff_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    content = encoded(Image.new("L", (64, 64)), "TIFF", compression="tiff_lzw")
    for position in range(8, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        with contextlib.suppress(ImageError):
            upright(bytes(damaged))
    assert capfd.readouterr() == ("", "")
