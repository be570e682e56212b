"""docs/orthanc with a real Orthanc: films come in by C-STORE, and answers lie beside them.

It needs Orthanc and DCMTK's storescu. Where ALL_NEEDED is set, as .ci/full sets it, their absence
is a failure.
"""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pydicom
import pytest
from PIL import Image

from dicom_files import written
from scripts import ROOT
from serving import running_server
from waiting import PATIENCE_S

SCRIPT = ROOT / "docs" / "orthanc" / "answer_films.py"
SAMPLES = sorted((ROOT / "data" / "samples").glob("*.jpeg"))
FILMS = 20

pytestmark = pytest.mark.slow


class Orthanc:
    """An Orthanc of the test's own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.http, self.dicom = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.http}"
        self._settings = folder / "orthanc.json"
        settings = {
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
        }
        self._settings.write_text(json.dumps(settings))
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["Orthanc", self._settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: self.get("/system") is not None)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> Any:
        with suppress(URLError, OSError), urlopen(self.address + path, timeout=60) as response:
            return json.load(response)
        return None

    def file(self, instance: str) -> bytes:
        with urlopen(f"{self.address}/instances/{instance}/file", timeout=60) as response:
            content: bytes = response.read()
        return content

    def modalities(self) -> list[list[str]]:
        """Those of the series of each study."""
        found = []
        for study in self.get("/studies?expand") or []:
            series = (self.get(f"/series/{one}") for one in study["Series"])
            found.append(sorted(one["MainDicomTags"]["Modality"] for one in series if one))
        return found

    def receive(self, *films: Path) -> None:
        subprocess.run(["storescu", "127.0.0.1", str(self.dicom), *films], check=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 3 * PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    absent = [name for name in ("Orthanc", "storescu") if shutil.which(name) is None]
    if absent:
        assert "ALL_NEEDED" not in os.environ, absent
        pytest.skip(f"not installed: {', '.join(absent)}")
    running = Orthanc(tmp_path)
    yield running
    running.kill()


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    """Films of a study each, all of them different."""
    made = []
    for number in range(FILMS):
        grey = np.asarray(Image.open(SAMPLES[number % len(SAMPLES)]).convert("L")).copy()
        grey[:1, :number] = 255
        uids = {
            "SOPInstanceUID": f"1.2.3.{number}",
            "SeriesInstanceUID": f"1.2.4.{number}",
            "StudyInstanceUID": f"1.2.5.{number}",
            "PatientID": f"p{number}",
        }
        made.append(tmp_path / f"film-{number}.dcm")
        content = pydicom.dcmread(io.BytesIO(written(grey, **uids)))
        content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
        content.save_as(made[-1], enforce_file_format=True)
    return made


def command(orthanc: Orthanc, edge: str, state: Path) -> list[str | Path]:
    servers = ("--orthanc", orthanc.address, "--cxr-edge", edge)
    return [sys.executable, SCRIPT, *servers, "--state", state]


@contextmanager
def answering(orthanc: Orthanc, edge: str, state: Path) -> Iterator[None]:
    process = subprocess.Popen(command(orthanc, edge, state))
    try:
        yield
    finally:
        process.kill()
        process.wait()


WHOLE = ["DX", "OT", "SR"]


def test_every_film_has_its_answer_beside_it_whatever_is_killed(
    orthanc: Orthanc, films: list[Path], tmp_path: Path
) -> None:
    state, port = tmp_path / "last", free_port()
    edge = f"http://127.0.0.1:{port}"
    with answering(orthanc, edge, state):
        with running_server("--port", port) as server:
            orthanc.receive(*films[:8])
            until(lambda: orthanc.modalities().count(WHOLE) >= 3)
            server.process.kill()  # in the middle of a film, perhaps
            orthanc.receive(*films[8:12])
        with running_server("--port", port):
            until(lambda: orthanc.modalities().count(WHOLE) >= 9)
            orthanc.kill()
            orthanc.start()
            orthanc.receive(*films[12:])
            orthanc.receive(*films[:3])  # again
            until(lambda: orthanc.modalities().count(WHOLE) >= 14)
    # The program itself was killed, too.
    with running_server("--port", port), answering(orthanc, edge, state):
        until(lambda: orthanc.modalities() == [WHOLE] * FILMS)
    # Answered all over again, there is nothing new.
    state.unlink()
    before = orthanc.get("/statistics")["CountInstances"]
    with running_server("--port", port), answering(orthanc, edge, state):
        last = orthanc.get("/changes?last")["Last"]
        until(lambda: state.exists() and int(state.read_text().split()[0]) >= last)
    assert orthanc.get("/statistics")["CountInstances"] == before == 3 * FILMS
    for instance in orthanc.get("/instances"):
        answer = pydicom.dcmread(io.BytesIO(orthanc.file(instance)))
        if answer.Modality != "DX":
            assert answer.PatientID == f"p{answer.StudyInstanceUID.rpartition('.')[2]}"


def test_what_is_no_film_is_left_alone_and_a_film_without_pixels_does_not_stop_it(
    orthanc: Orthanc, films: list[Path], tmp_path: Path
) -> None:
    other, empty = pydicom.dcmread(films[0]), pydicom.dcmread(films[1])
    other.Modality = "CT"
    other.save_as(films[0], enforce_file_format=True)
    del empty.PixelData
    empty.save_as(films[1], enforce_file_format=True)
    port = free_port()
    with (
        running_server("--port", port),
        answering(orthanc, f"http://127.0.0.1:{port}", tmp_path / "last"),
    ):
        orthanc.receive(*films[:3])
        until(lambda: orthanc.modalities().count(WHOLE) == 1)
    assert sorted(orthanc.modalities()) == sorted([["CT"], ["DX"], WHOLE])


def test_wrong_token_ends_it_with_a_line(
    orthanc: Orthanc, films: list[Path], tmp_path: Path
) -> None:
    orthanc.receive(films[0])
    with running_server(CXR_EDGE_TOKEN="x" * 32) as server:
        done = subprocess.run(
            command(orthanc, server.address, tmp_path / "last"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        server.stop(signal.SIGTERM)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "status 401" in line
    assert not (tmp_path / "last").exists()
