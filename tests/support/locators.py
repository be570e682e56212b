"""A lung locator that needs no training: dark is lung, but along the borders."""

import dataclasses
import functools
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats import onnx, tflite
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import LOCATOR_VERSION, LocatorEntry
from cxr_edge_runtime.preprocess import LOCATOR_SIDE, LUNG_BOX_VERSION, PreprocessSpec
from cxr_edge_train.locator.folder import RECORD, LocatorFolder, LocatorRecord

# Greys below it are lung.
_DARK = 100
_BORDER = 2


@functools.cache
def _converted() -> dict[str, bytes]:
    """The two files by name."""
    image = keras.Input((LOCATOR_SIDE, LOCATOR_SIDE, 1), name="image")
    darkness = keras.layers.Conv2D(1, 1, name="darkness")
    cells = darkness(keras.layers.AveragePooling2D(4)(image))
    inner = keras.layers.Cropping2D(_BORDER)(cells)
    mask = keras.layers.ZeroPadding2D(_BORDER, name="mask")(inner)
    model = keras.Model({"image": image}, {"mask": mask}, name="locator")
    darkness.set_weights([np.full((1, 1, 1, 1), -0.1), np.array([0.1 * _DARK])])
    return {
        "locator.tflite": tflite.to_float32(model),
        "locator.onnx": onnx.to_float32(model),
    }


def make_locator(folder: Path, *, margin: float = 1.2) -> LocatorFolder:
    """Write a locator's folder."""
    record = LocatorRecord(
        version=LOCATOR_VERSION, margin=margin, files=describe_files(_converted()), weights="none",
        weights_sha256="", seed=0, dataset_digest="", films={}, without_mask=0, metrics={},
        checks={}, versions={}, seconds=0.0,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _converted().items():
        (folder / name).write_bytes(content)
    (folder / RECORD).write_text(json.dumps(dataclasses.asdict(record), indent=2) + "\n")
    return LocatorFolder(folder, record)


def bundle_with_locator(
    folder: Path, bundle: Path, *, entry: LocatorEntry | None = None, file: str | None = None
) -> Path:
    """A TFLite bundle with the locator.

    Args:
        folder: the folder to make.
        bundle: the bundle without one.
        entry: what the manifest says of it, where that is something else.
        file: name of the locator's file, where it is another one.
    """
    whole = Bundle.load(bundle)
    contents = {name: whole.read(name) for name in whole.manifest.files}
    name = file or "locator.tflite"
    contents[name] = _converted()[name]
    size = whole.manifest.preprocess.height
    manifest = replace(
        whole.manifest,
        preprocess=PreprocessSpec.of_version(LUNG_BOX_VERSION, size=size),
        locator=entry or LocatorEntry(name, LOCATOR_VERSION, 1.2),
        files=describe_files(contents),
    )
    write_bundle(folder, manifest, contents)
    return folder


def film_with_lungs(size: tuple[int, int] = (160, 120), *, seed: int = 0) -> NDArray[np.uint8]:
    """``[height, width] uint8``: two dark fields in grey, each film's elsewhere."""
    width, height = size
    random = np.random.default_rng(seed)
    film = random.integers(150, 200, (height, width), dtype=np.uint8)
    for left in (0.2, 0.55):
        x, y = (np.array([left, 0.2]) + random.uniform(-0.05, 0.05, 2)) * size
        film[int(y) : int(y + 0.5 * height), int(x) : int(x + 0.25 * width)] //= 4
    return film


def film_without_lungs(size: tuple[int, int] = (160, 120)) -> NDArray[np.uint8]:
    """``[height, width] uint8``: bright noise."""
    return np.random.default_rng(0).integers(150, 250, size[::-1], dtype=np.uint8)
