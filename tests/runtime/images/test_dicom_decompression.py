import io
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from crafted_dicom import jpeg_2000_film
from cxr_edge_runtime.errors import (
    ImageError,
    ImageTooLarge,
    ImageTooSlow,
    UnreadableImage,
    UnsupportedImage,
)
from cxr_edge_runtime.images import decoding_limits, dicom_decompression, load_grey
from cxr_edge_runtime.images.dicom_decompression import FrameShape, decompressed
from cxr_edge_runtime.images.dicom_decompressor import NO_DECODER, NO_MEMORY
from dicom_files import RAMP, jpeg, written
from synthetic import noisy_gradient

GREY = noisy_gradient((80, 64), seed=0)
SHAPE = FrameShape(rows=80, columns=64, allocated=16, stored=12, signed=False)


def run_length_coded() -> memoryview:
    dataset = pydicom.dcmread(io.BytesIO(written()))
    dataset.compress(RLELossless)
    return memoryview(get_frame(dataset.PixelData, 0, number_of_frames=1))


def decode(frame: memoryview, shape: FrameShape = SHAPE, syntax: str = RLELossless) -> np.ndarray:
    return decompressed([frame], syntax, shape, file_bytes=len(frame), name="film")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_samples_are_those_that_were_compressed(
    unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert np.array_equal(decode(run_length_coded()), RAMP)


@pytest.mark.parametrize("damage", ["too short", "of another number of parts", "reads on"])
def test_damaged_run_lengths_are_told(damage: str) -> None:
    frame = bytearray(run_length_coded())
    if damage == "too short":
        del frame[-100:]
    elif damage == "reads on":
        frame[8:12] = (80).to_bytes(4, "little")  # the second part begins within the first
    else:
        frame[0] = 1
    with pytest.raises(UnreadableImage, match="damaged DICOM file"):
        decode(memoryview(bytes(frame)))


def program(source: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let another program be the child."""
    path = folder / "child.py"
    path.write_text(source)
    monkeypatch.setattr(dicom_decompression.dicom_decompressor, "__file__", str(path))


def test_child_that_crashes_is_a_damaged_film(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program("import os\nos.abort()\n", monkeypatch, tmp_path)  # as gdcm does on some frames
    with pytest.raises(
        UnreadableImage,
        match=r"film: damaged DICOM file \(in its compressed "
        "frame",
    ):
        decode(memoryview(bytes(10_000_000)))


def test_system_without_limits_decompresses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(dicom_decompression, "find_spec", lambda name: None)
    with pytest.raises(
        UnsupportedImage, match="this system cannot limit the memory of its decoder"
    ):
        decode(run_length_coded())


def test_missing_decoder_is_named_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(f"import sys\nsys.exit({NO_DECODER})\n", monkeypatch, tmp_path)
    with pytest.raises(UnsupportedImage, match=r"pip install .\.\[dicom\]"):
        decode(memoryview(b"x"))


def test_child_without_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(f"import sys\nsys.exit({NO_MEMORY})\n", monkeypatch, tmp_path)
    with pytest.raises(ImageTooLarge, match=r"not enough memory to decompress .*; export it u"):
        decode(memoryview(b"x"))


def test_python_without_memory_ends_with_the_code_for_it() -> None:
    child = dicom_decompression.dicom_decompressor.__file__
    numbers = map(str, (400_000_000, 64, 80, 16, 12, 0, 100_000_000, 60))
    command = [sys.executable, "-P", child, JPEG2000Lossless, *numbers]
    done = subprocess.run(command, input=bytes(1000), capture_output=True)
    assert done.returncode == NO_MEMORY, done.stderr


def test_decoder_without_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_decompression, "_MAX_MEMORY", 56_000_000)
    content = jpeg_2000_film(1500)
    with pytest.raises(ImageTooLarge, match=r"not enough memory to decompress its 2 MB for 1500x1"):
        load_grey(content)
    monkeypatch.setattr(dicom_decompression, "_MAX_MEMORY", 100_000_000)
    assert load_grey(content).pixels.shape == (1500, 1500)


@pytest.mark.parametrize("written_bytes", [0, 1, 5, 80 * 64 + 2])
def test_child_that_writes_another_number_of_samples_is_a_damaged_film(
    written_bytes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = f"import sys\nsys.stdout.buffer.write(bytes([1]) * {written_bytes})\n"
    program(source, monkeypatch, tmp_path)
    with pytest.raises(UnreadableImage, match="damaged DICOM file"):
        decode(memoryview(b"x"))


def test_child_that_takes_too_long_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program("import time\ntime.sleep(60)\n", monkeypatch, tmp_path)
    monkeypatch.setattr(dicom_decompression, "MAX_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(ImageTooSlow, match=r"more than 0\.2 seconds; export it uncompressed"):
        decode(memoryview(bytes(10_000_000)))
    assert time.monotonic() - began < 30


def test_child_at_its_limit_on_processor_time_took_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(f"import os\nos.kill(os.getpid(), {int(signal.SIGXCPU)})\n", monkeypatch, tmp_path)
    with pytest.raises(ImageTooSlow):
        decode(memoryview(b"x"))


def test_child_imports_nothing_from_here_and_outlives_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: dict[str, Any] = {}

    class Stopped(Exception):
        pass

    def popen(command: list[str], **options: Any) -> None:
        started.update(options, command=command)
        raise Stopped

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(Stopped):
        decode(memoryview(b"x" * 1000))
    assert started["command"][1] == "-P"
    assert started["start_new_session"] is True
    *_, max_memory, max_seconds = map(int, started["command"][4:])
    assert max_memory == dicom_decompression._MAX_MEMORY - 1000
    assert decoding_limits.MAX_SECONDS <= max_seconds <= decoding_limits.MAX_SECONDS + 1


def test_child_gets_no_more_memory_than_it_is_told() -> None:
    source = (
        "import sys\n"
        "from cxr_edge_runtime.images import dicom_decompressor as child\n"
        "child._decode_rle = lambda *_: bytearray(int(sys.argv[1]) * 2**20) and 9\n"
        "child._RLE = ''\n"
        "sys.exit(child.main('', 0, 1, 1, 8, 8, 0, 300 * 2**20, 60))\n"
    )
    for megabytes, code in ((100, 9), (600, 1)):
        done = subprocess.run(
            [sys.executable, "-c", source, str(megabytes)], input=b"", capture_output=True
        )
        assert done.returncode == code, done.stderr


def test_damaged_frames_never_end_this_process() -> None:
    whole = jpeg(GREY)
    random = np.random.default_rng(0)
    for _ in range(6):
        frame = bytearray(whole)
        for place in random.integers(2, len(frame), 20):
            frame[place] = random.integers(256)
        try:
            film = load_grey(
                written(GREY, syntax=JPEGBaseline8Bit, PixelData=encapsulate([bytes(frame)]))
            )
        except ImageError as error:
            assert "\n" not in str(error)
        else:
            assert film.pixels.shape == GREY.shape
