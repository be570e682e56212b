"""Modules planted beside the films: no command imports them, nor does a process that it starts."""

import functools
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from pydicom import dcmread
from pydicom.uid import RLELossless

import dicom_files
from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.command_table import COMMANDS
from logged_films import film, logged
from synthetic import draw_dataset

# Imported by every Python that finds them when it starts.
CUSTOMIZE = ("sitecustomize", "usercustomize")
# A command that starts processes over and over, since each of them fails, never ends.
TIMEOUT_S = 300
MODULE = """import os
with open(os.environ["PLANTED_MARKER"], "a") as file:
    file.write(f"{__name__}\\n")
"""
PATHS = ("PYTHONPATH", "PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "RAY_AUTH_MODE")


@dataclass(frozen=True)
class Place:
    """A folder that a user is in, with films and with modules that nobody asked for."""

    folder: Path
    marker: Path

    def run(self, line: str, *, start: Sequence[str | Path] = (), code: int = 0) -> None:
        """A command as its users start it: it succeeds, and what is planted does not run."""
        done = subprocess.run(
            [*(start or [script(self.folder.parent)]), *line.split()],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert self.imported == [], line
        assert done.returncode == code, f"{line}: {done.stderr}"

    @property
    def environment(self) -> dict[str, str]:
        """That of the tests, with nothing in it that keeps Python from looking here."""
        kept = {name: os.environ[name] for name in PATHS if name in os.environ}
        return kept | {
            "XDG_DATA_HOME": str(self.folder.parent / "data-home"),
            "XDG_CACHE_HOME": str(self.folder.parent / "cache"),
            "PLANTED_MARKER": str(self.marker),
        }

    @property
    def imported(self) -> list[str]:
        """What ran of the planted modules."""
        return sorted(set(self.marker.read_text().split())) if self.marker.exists() else []


def script(folder: Path) -> Path:
    """The script ``cxr-edge`` as pip writes it; where there is none, one like it."""
    installed = Path(sysconfig.get_path("scripts"), "cxr-edge")
    if installed.exists():
        return installed
    written = folder / "bin" / "cxr-edge"
    if not written.exists():
        written.parent.mkdir()
        written.write_text(f"#!{sys.executable}\nfrom cxr_edge.__main__ import main\nmain()\n")
        written.chmod(0o755)
    return written


@functools.cache
def names_to_plant() -> frozenset[str]:
    """Every name that Python or an installed package has."""
    packages = (name.partition(".")[0] for name in packages_distributions())
    names = {"cxr_edge", "cxr_edge_runtime", *packages, *sys.stdlib_module_names, *CUSTOMIZE}
    return frozenset(filter(str.isidentifier, names))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Films, a compressed one too, a bundle, and modules with them and in the current folder."""
    folder = tmp_path / "here"
    draw_dataset(folder / "data", patients=20, test_patients=2)
    films = folder / "films"
    films.mkdir()
    for number, path in enumerate(sorted((folder / "data/train/NORMAL").iterdir())[:3]):
        shutil.copy(path, films / f"{number}.png")
    compressed = dcmread(io.BytesIO(dicom_files.written()))
    compressed.compress(RLELossless)
    compressed.save_as(films / "compressed.dcm")
    key = Ed25519PrivateKey.generate()
    for name, content in (
        ("key.pem", key.private_bytes(
            forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
        )),
        ("key.pub.pem", key.public_key().public_bytes(
            forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo
        )),
    ):  # fmt: skip
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    for planted in (folder, films, folder / "data"):
        for name in names_to_plant():
            (planted / f"{name}.py").write_text(MODULE)
    return Place(folder, tmp_path / "marker")


def test_planted_module_runs_where_python_looks_for_it(place: Place) -> None:
    """What the other tests rely on."""
    # Not by -c, for which Python 3.13 itself imports one that is planted.
    subprocess.run(
        [sys.executable, "-"], input=b"import pandas", cwd=place.folder, env=place.environment,
        check=True,
    )  # fmt: skip
    assert place.imported == ["pandas"]


@pytest.mark.slow
def test_commands_of_the_device_import_nothing_planted(place: Place) -> None:
    logged(place.folder / "log.db", *(film(number) for number in range(3)))
    for line in (
        "--version",
        "classify films --csv table.csv --heatmap maps --log films.db",
        "info tiny",
        "pack tiny --sign key.pem -o tiny.cxr.zip",
        "verify tiny.cxr.zip --key key.pub.pem",
        "install tiny.cxr.zip --key key.pub.pem",
        "selftest",
        "benchmark --images films/0.png",
    ):
        place.run(line)


@pytest.mark.slow
def test_drift_imports_nothing_planted(place: Place) -> None:
    bundle = load_bundle("tiny").digest
    logged(place.folder / "log.db", *(replace(film(n), bundle_sha256=bundle) for n in range(500)))
    place.run("drift log.db --bundle tiny -o drift.png --max-psi 9 --max-ks 1")


def test_server_imports_nothing_planted(place: Place) -> None:
    process = subprocess.Popen(
        [script(place.folder.parent), "serve", "--port", "0"],
        cwd=place.folder,
        env=place.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process, process.stderr:
        try:
            lines = (re.search(r"listening on (http://\S+)/ ", line) for line in process.stderr)
            found = next(line for line in lines if line)
            films = {"file": ("film.dcm", (place.folder / "films/compressed.dcm").read_bytes())}
            answer = httpx2.post(f"{found[1]}/v1/classify", files=films)
            assert answer.status_code == 200, answer.text
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert place.imported == []


def test_watch_imports_nothing_planted(place: Place) -> None:
    answers = place.folder / "watched" / "answers.jsonl"
    process = subprocess.Popen(
        [script(place.folder.parent), "watch", "films", "--to", "watched", "--settle", "0s"],
        cwd=place.folder,
        env=place.environment,
    )
    with process:
        try:
            end = time.monotonic() + TIMEOUT_S
            while not answers.exists() or '"label"' not in answers.read_text():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert place.imported == []


@pytest.mark.slow
def test_score_and_its_workers_import_nothing_planted(place: Place) -> None:
    place.run("score films -o scores --workers 1")


@pytest.mark.slow
def test_score_asks_a_cluster_without_importing_anything_planted(place: Place) -> None:
    place.run("score films -o scores --address 127.0.0.1:1", code=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_workers_of_a_cluster_import_nothing_planted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PLANTED_MARKER", str(place.marker))
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        place.run(f"score films -o scores --address {made.address}")
    finally:
        made.shutdown()
    assert (place.folder / "scores").exists()


@pytest.mark.slow
def test_python_m_imports_nothing_planted(place: Place) -> None:
    """But for what Python itself imports to find the package, which nobody can prevent."""
    for name in names_to_plant() & {"cxr_edge", *sys.stdlib_module_names}:
        (place.folder / f"{name}.py").unlink()
    place.run("classify films", start=(sys.executable, "-m", "cxr_edge"))


@pytest.mark.slow
def test_cleaning_and_splitting_import_nothing_planted(place: Place) -> None:
    for line in ("clean data", "split clean_metadata.csv", "eda clean_metadata.csv"):
        place.run(line)


@pytest.mark.slow
def test_training_a_locator_imports_nothing_planted(place: Place) -> None:
    draw_dataset(place.folder / "many", patients=60, test_patients=2)
    (place.folder / "masks").mkdir()
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    for path in (place.folder / "many").rglob("*.png"):
        mask.save(place.folder / "masks" / path.name)
    place.run("clean many")
    place.run("split clean_metadata.csv")
    # It has seen too little to find these squares.
    place.run("train-locator clean_metadata.csv --masks masks --weights none", code=4)


@pytest.mark.slow
def test_training_and_converting_import_nothing_planted(place: Place) -> None:
    fast = "--weights none --recipe recipe.toml"
    recipe = "[model]\nimage_size = 32\n[fit]\nepochs = 1\nbatch_size = 50\n"
    (place.folder / "recipe.toml").write_text(recipe)
    place.run("clean data")
    place.run("split clean_metadata.csv")
    for line in (
        f"train clean_metadata.csv --architecture pure_cnn {fast} -o run --tensorboard",
        f"train clean_metadata.csv --architecture pure_cnn {fast} --folds 2 -o folds",
        "evaluate --suspects folds -o suspects",
        f"compare clean_metadata.csv --architectures pure_cnn,mobilenet {fast}",
        "import run/model.keras --metadata clean_metadata.csv -o imported",
    ):
        place.run(line)
    # Too few films to find out whether recall holds; the work is done nevertheless.
    place.run("convert run --all --format both -o bundles", code=4)
    place.run("report bundles")
    place.run("evaluate run clean_metadata.csv -o evaluation")
    place.run("calibrate tiny data/train --prevalence 0.1 -o calibrated")
    place.run("compare-bundles tiny calibrated clean_metadata.csv -o compared")


def test_every_command_is_tried() -> None:
    tried = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in COMMANDS if not re.search(rf'[("]{name}[" ]', tried)] == []
