"""The server as docs/cxr-edge.service runs it keeps within the unit's memory."""

import io
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ComputedRadiographyImageStorage, RLELossless, generate_uid

import crafted_dicom
import crafted_images
from dicom_files import written
from serving import UNIT_MB, as_the_unit, served
from usage import PeakMemory

# Files that somebody constructed who has read the code, each as large as any that is taken.
CRAFTED = crafted_images.DEAR | {
    f"DICOM {name}": partial(make, 78_000_000) for name, make in crafted_dicom.COSTLY.items()
}
# As found in the first version of this server, which each of them ended.
NINE = (
    "frame headers", "application segments", "EXIF directory", "empty chunks", "hidden scans",
    "EXIF bomb", "DICOM windows", "DICOM frames", "DICOM empty LUTs",
)  # fmt: skip


def windowed_film() -> bytes:
    """An uncompressed DICOM film of 30 million samples of 16 bits, which takes 60 MB."""
    rows = np.linspace(0, 4095, 5000).astype(np.uint16)[:, np.newaxis]
    samples = np.repeat(rows, 6000, axis=1)
    return crafted_dicom.film(samples, stored=12, high=11, center="2048", width="2000")


def compressed_film() -> bytes:
    """A DICOM film of 16 million samples of 16 bits, in RLE."""
    rows = np.linspace(0, 4095, 4000).astype(np.uint16)[:, np.newaxis]
    dataset = pydicom.dcmread(io.BytesIO(written(np.repeat(rows, 4000, axis=1))))
    dataset.compress(RLELossless)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def large_film(seed: int) -> bytes:
    """A grey JPEG of 29 million pixels, of the largest that are taken."""
    coarse = np.random.default_rng(seed).integers(0, 256, (64, 50), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((4800, 6080), Image.Resampling.BILINEAR).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("query", ["", "force=true&map=true&picture=true"])
def test_two_of_the_largest_grey_films_at_once_fit_into_the_units_memory(query: str) -> None:
    done = served(*map(large_film, range(2)), query=query)
    assert done.statuses == [200] * 2
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 60


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        windowed_film,
        compressed_film,
        partial(crafted_images.large_film, "CMYK", "JPEG"),
        partial(crafted_images.large_film, "I;16", "TIFF"),
    ],
    ids=["windowed DICOM", "compressed DICOM", "CMYK on its side", "TIFF of 16 bits on its side"],
)
def test_two_of_the_dearest_kinds_of_film_at_once_fit_into_the_units_memory(
    make: Callable[[], bytes],
) -> None:
    done = served(make, make, query="force=true")
    assert done.statuses == [200] * 2
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 2 * 60


def in_a_study(film: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(film), force=True)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.slow
def test_two_of_the_largest_films_answered_as_dicom_fit_into_the_units_memory() -> None:
    pytest.importorskip("highdicom")
    film = in_a_study(windowed_film())
    done = served(film, film, query="as=dicom&force=true")
    assert done.statuses == [200] * 2, done.results
    # 446 was measured, of which 80 are a table that highdicom keeps.
    assert done.peak_mb < UNIT_MB


def noise_film() -> bytes:
    """A grey JPEG of 30 million pixels, whose PNG in base64 takes 40 MB."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (5000, 6000), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


@pytest.mark.slow
def test_pictures_that_nobody_takes_fit_into_the_units_memory() -> None:
    film = noise_film()
    with as_the_unit() as server, ExitStack() as clients, PeakMemory(server.process.pid) as peak:
        host, port = server.address.removeprefix("http://").split(":")
        for client in range(8):
            connection = clients.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((host, int(port)))
            connection.sendall(
                b"POST /v1/classify?picture=true&force=true HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"X-Forwarded-For: 192.0.2.%d\r\nContent-Length: %d\r\n\r\n" % (client, len(film))
            )
            connection.sendall(film)
            assert connection.recv(12) == b"HTTP/1.1 200"
    assert peak.bytes / 1e6 < UNIT_MB / 2


def test_refused_body_is_let_go_of_while_its_rest_comes() -> None:
    with as_the_unit() as server, ExitStack() as clients, PeakMemory(server.process.pid) as peak:
        host, port = server.address.removeprefix("http://").split(":")
        for n_bytes in (50_000_000, *[40_000_000] * 12):
            connection = clients.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(
                b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 80000000\r\n\r\n"
            )
            connection.sendall(bytes(n_bytes))
            if n_bytes == 40_000_000:
                assert connection.recv(12) == b"HTTP/1.1 503"
    assert peak.bytes / 1e6 < UNIT_MB / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "status"),
    [
        (partial(crafted_dicom.jpeg_2000_film, 4000), 200),
        (partial(crafted_dicom.COSTLY["filled frame"], 78_000_000), 422),
    ],
    ids=["noisy", "filled up"],
)
def test_compressed_film_fits_into_the_units_memory_while_a_body_of_80_mb_waits(
    make: Callable[[], bytes], status: int
) -> None:
    longest = partial(crafted_dicom.COSTLY["private pixels"], 79_900_000)
    done = served(make, longest, query="force=true")
    assert done.statuses == [status, 200]
    # 409 and 271 were measured.
    assert done.peak_mb < UNIT_MB


@pytest.mark.parametrize(
    "names", [NINE, pytest.param(tuple(CRAFTED), marks=pytest.mark.slow)], ids=["nine", "all"]
)
def test_constructed_files_are_refused_within_the_units_memory(names: tuple[str, ...]) -> None:
    film = large_film(0)
    done = served(*(CRAFTED[name] for name in names), film)
    assert done.statuses[-1] == 200
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 60 * len(names)
    for status, result in zip(done.statuses[:-1], done.results):
        assert status in (200, 422)
        assert "Error" not in result.get("error", {}).get("kind", "")
