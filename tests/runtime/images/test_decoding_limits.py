import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.errors import (
    ImageTooLarge,
    ImageTooSlow,
    ImageTooSmall,
    UnreadableImage,
    UnsupportedImage,
)
from cxr_edge_runtime.images import decoding_limits, load_grey
from cxr_edge_runtime.images.decoding_limits import (
    LARGE_PIXELS,
    MAX_PIXELS,
    MeteredBytes,
    check_bytes,
    check_size,
    exclusive_if_large,
)
from cxr_edge_runtime.images.inspection import inspect
from synthetic import encoded, noisy_gradient


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "BMP"])
def test_decoding_ends_at_the_limit_on_seconds(
    format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(Image.fromarray(noisy_gradient((1200, 1000), seed=0)), format_)
    load_grey(content)
    monkeypatch.setattr(decoding_limits, "MAX_SECONDS", 0.0)
    for decode in (load_grey, lambda content: inspect(content, side=32)):
        with pytest.raises(ImageTooSlow, match="image: decoding took more than 0 seconds; export"):
            decode(content)


def test_time_of_others_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(decoding_limits.time, "thread_time", lambda: now[0])
    file = MeteredBytes(b"x" * 100_000, "film")
    now[0] = decoding_limits.MAX_SECONDS - 1
    assert len(file.read(50_000)) == 50_000
    now[0] = decoding_limits.MAX_SECONDS + 1
    with pytest.raises(ImageTooSlow):
        file.read(50_000)


def test_small_reads_ask_the_clock_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(decoding_limits.time, "thread_time", lambda: now[0])
    file = MeteredBytes(b"x" * 10_000, "film")
    now[0] = decoding_limits.MAX_SECONDS + 1
    with pytest.raises(ImageTooSlow):
        for _ in range(300):
            file.read(1)


def test_what_may_not_be_read_is_not_copied_first() -> None:
    file = MeteredBytes(b"x" * 100, "film", max_bytes=60)
    file.read(50)
    with pytest.raises(UnreadableImage, match="overlapping or too many parts"):
        file.read()
    assert file.tell() == 50


def test_file_that_is_read_again_and_again_is_damaged() -> None:
    file = MeteredBytes(b"x" * 3_000_000, "film")
    file.read()
    file.seek(0)
    file.read()
    file.seek(0)
    with pytest.raises(UnreadableImage, match="film: damaged image"):
        file.read()
    few = MeteredBytes(b"x" * 100, "film", max_reads=3)
    with pytest.raises(UnreadableImage):
        for _ in range(4):
            few.read(1)


def test_bytes_at_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_limits, "MAX_BYTES", 2_000_000)
    check_bytes(b"x", "film")
    check_bytes(b"x" * 2_000_000, "film")
    with pytest.raises(ImageTooLarge, match="film: more than 2 MB; export a smaller copy"):
        check_bytes(b"x" * 2_000_001, "film")
    with pytest.raises(UnreadableImage, match="film: the file is empty"):
        check_bytes(b"", "film")


def test_sizes_at_the_limits() -> None:
    check_size((64, 64), "film")
    check_size((30_000, 1000), "film")
    with pytest.raises(ImageTooLarge, match="film: 30001x1000 pixels, the limit is 30 million"):
        check_size((30_001, 1000), "film")
    with pytest.raises(ImageTooSmall, match="film: 63x100 pixels"):
        check_size((63, 100), "film")
    with pytest.raises(ImageTooLarge, match="the limit is 10 million"):
        check_size((4000, 3000), "film", max_pixels=10_000_000)


def test_webp_has_a_lower_limit_and_one_frame() -> None:
    large = Image.new("L", (3400, 3000))
    assert 10_000_000 < large.width * large.height < MAX_PIXELS
    assert load_grey(encoded(large, "PNG")).pixels.shape == (3000, 3400)
    with pytest.raises(ImageTooLarge, match="the limit is 10 million"):
        load_grey(encoded(large, "WEBP"))
    frames = [Image.fromarray(noisy_gradient((80, 70), seed=seed)) for seed in range(3)]
    animated = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedImage, match="an animated WebP; export one frame"):
        load_grey(animated)


def test_large_images_wait_for_each_other_and_small_ones_pass() -> None:
    order: list[str] = []
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive_if_large(pixels=LARGE_PIXELS + 1):
            held.set()
            release.wait(60)
            order.append("first")

    def wait() -> None:
        with exclusive_if_large(n_bytes=decoding_limits.LARGE_BYTES + 1):
            order.append("second")

    first = threading.Thread(target=hold)
    first.start()
    held.wait(60)
    second = threading.Thread(target=wait)
    second.start()
    with exclusive_if_large(pixels=LARGE_PIXELS, n_bytes=decoding_limits.LARGE_BYTES):
        order.append("small")
    assert order == ["small"]
    release.set()
    first.join(10)
    second.join(10)
    assert order == ["small", "first", "second"]


def test_image_that_does_not_fit_into_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr("cxr_edge_runtime.images.to_grey", full)
    with pytest.raises(ImageTooLarge, match="not enough memory on this device"):
        load_grey(encoded(Image.new("L", (80, 80)), "PNG"))


def test_tiffs_large_in_bytes_and_in_pixels_do_not_wait_for_each_other_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One takes the turn of large images before it silences libtiff, the other after."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8)
    many_bytes, many_pixels = tmp_path / "bytes.tif", tmp_path / "pixels.tif"
    Image.fromarray(noise).save(many_bytes)
    Image.new("L", (400, 400)).save(many_pixels, compression="tiff_adobe_deflate")
    monkeypatch.setattr(decoding_limits, "LARGE_BYTES", 100_000)
    monkeypatch.setattr(decoding_limits, "LARGE_PIXELS", 100_000)
    threads = [
        threading.Thread(target=lambda path: [load_grey(path) for _ in range(40)], args=(path,))
        for path in (many_bytes, many_pixels) * 2
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
