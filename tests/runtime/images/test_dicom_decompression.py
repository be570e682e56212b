import io
import subprocess
import sys
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from cxr_edge_runtime.errors import ImageError, ImageTooSlow, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import decoding_limits, dicom_decompression, load_grey
from cxr_edge_runtime.images.dicom_decompression import decompressed
from dicom_files import RAMP, jpeg, written
from synthetic import noisy_gradient

GREY = noisy_gradient((80, 64), seed=0)


def compressed() -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(written()))
    dataset.compress(RLELossless)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_samples_are_those_that_were_compressed(
    unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert np.array_equal(decompressed(compressed(), "film"), RAMP)


def ended(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let the child end with this code."""

    def run(command: list[str], **_: Any) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.CompletedProcess(command, code, b"", b"")

    monkeypatch.setattr(subprocess, "run", run)


def test_child_that_crashes_is_a_damaged_film(monkeypatch: pytest.MonkeyPatch) -> None:
    ended(monkeypatch, -6)  # as gdcm does on some frames
    with pytest.raises(UnreadableImage, match=r"film: damaged DICOM file \(its compressed frame\)"):
        decompressed(b"", "film")


def test_child_imports_nothing_from_here_and_outlives_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: dict[str, Any] = {}

    def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[bytes]":
        started.update(options, command=command)
        return subprocess.CompletedProcess(command, 1, b"", b"")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UnreadableImage):
        decompressed(b"", "film")
    assert "-P" in started["command"]
    assert started["start_new_session"] is True
    assert started["timeout"] == decoding_limits.MAX_SECONDS
    assert started["env"]["OPENBLAS_NUM_THREADS"] == "1"


def test_missing_decoder_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    ended(monkeypatch, dicom_decompression._NO_DECODER)
    with pytest.raises(UnsupportedImage, match=r"pip install .\.\[dicom\]"):
        decompressed(b"", "film")


@pytest.mark.parametrize(
    ("installed", "code"), [("object()", 1), ("None", dicom_decompression._NO_DECODER)]
)
def test_child_tells_a_missing_decoder_from_one_that_failed(installed: str, code: int) -> None:
    program = (
        "import pydicom, sys\n"
        "from cxr_edge_runtime.images import dicom_decompression as child\n"
        "class Film:\n    @property\n    def pixel_array(self):\n        raise RuntimeError\n"
        "pydicom.dcmread = lambda file: Film()\n"
        f"child.find_spec = lambda name: {installed}\n"
        "sys.exit(child._main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=b"", capture_output=True)
    assert done.returncode == code, done.stderr


def test_child_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_decompression, "MAX_SECONDS", 0.01)
    with pytest.raises(ImageTooSlow, match=r"more than 0\.01 seconds"):
        decompressed(compressed(), "film")


def test_child_gets_no_more_memory_than_a_device_has() -> None:
    program = (
        "import pydicom, sys\n"
        "from cxr_edge_runtime.images import dicom_decompression as child\n"
        "def dcmread(file):\n    held = bytearray(int(sys.argv[1]) * 2**20)\n    sys.exit(9)\n"
        "pydicom.dcmread = dcmread\n"
        "child._main()\n"
    )
    for megabytes, code in ((100, 9), (600, 1)):
        done = subprocess.run(
            [sys.executable, "-c", program, str(megabytes)], input=b"", capture_output=True
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


def test_frame_of_another_size_is_refused() -> None:
    frame = encapsulate([jpeg(noisy_gradient((90, 70), seed=0))])
    with pytest.raises(UnreadableImage, match="damaged DICOM file"):
        load_grey(written(GREY, syntax=JPEGBaseline8Bit, PixelData=frame))
