"""Bundles that can be installed, made from the golden one: with golden inputs, in versions."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.archive import write_archive
from cxr_edge_runtime.bundle.manifest import SELFTEST_FILE
from cxr_edge_runtime.device.selftest import GoldenInputs, logit_of
from cxr_edge_runtime.engines import open_engine
from cxr_edge_runtime.probability import probability_of
from synthetic import noisy_gradient


def make_bundle(golden: Path, folder: Path, *, version: str, shift: float = 0.0) -> Bundle:
    """Write a bundle whose golden inputs this device passes, unless the answers are shifted."""
    bundle = Bundle.load(golden)
    engine = open_engine(bundle)
    inputs = np.stack([noisy_gradient((32, 32), seed) for seed in range(2)])
    answers = [probability_of(logit_of(engine, image), bundle.manifest) + shift for image in inputs]
    selftest = GoldenInputs(inputs, np.array(answers, np.float32), "tests").to_bytes()
    contents = {name: bundle.read(name) for name in bundle.manifest.files}
    contents[SELFTEST_FILE] = selftest
    manifest = replace(bundle.manifest, version=version, files=describe_files(contents))
    write_bundle(folder, manifest, contents)
    return Bundle.load(folder)


def make_archive(bundle: Bundle, path: Path, *, signature: bytes | None = None) -> Path:
    """Pack a bundle."""
    with path.open("wb") as file:
        write_archive(file, bundle, signature=signature)
    return path
