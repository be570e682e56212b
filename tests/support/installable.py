"""Bundles that can be installed, made from the golden one: with golden films, in versions."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from cxr_edge.bundles.install import Installed, install
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.archive import write_archive
from cxr_edge_runtime.bundle.manifest import SELFTEST_FILE
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.selftest import GoldenFilms, answer_of
from synthetic import noisy_gradient


def make_bundle(golden: Path, folder: Path, *, version: str, shift: float = 0.0) -> Bundle:
    """Write a bundle whose golden films this device passes, unless the answers are shifted."""
    bundle = Bundle.load(golden)
    classifier = Classifier(bundle)
    films = tuple(_png(noisy_gradient((80, 64), seed)) for seed in range(2))
    answers = [answer_of(classifier, film) for film in films]
    moved = tuple(replace(each, probability=each.probability + shift) for each in answers)
    selftest = GoldenFilms(films, moved, "tests").to_bytes()
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents[SELFTEST_FILE] = selftest
    manifest = replace(bundle.manifest, version=version, files=describe_files(contents))
    write_bundle(folder, manifest, contents)
    return Bundle.load(folder)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make_archive(bundle: Bundle, path: Path, *, signature: bytes | None = None) -> Path:
    """Pack a bundle."""
    with path.open("wb") as file:
        write_archive(file, bundle, signature=signature)
    return path


def put(archive: Path, folder: Path) -> Installed:
    """Install an archive without a signature and without trying it."""
    return install(archive, folder, check=None, smoke_test=lambda bundle: None)


def in_use(folder: Path) -> str:
    """The version of the bundle that is in use."""
    return Bundle.load(folder / "current").manifest.version
