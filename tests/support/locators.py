"""A lung locator that takes for lung what is dark, films that it finds the lungs of, and bundles.

It needs no training, but can be trained on.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import cxr_edge_models
from cxr_edge_convert.formats.models import float32_model
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import (
    LOCATOR_VERSION,
    GateLimits,
    Interval,
    LocatorEntry,
    locator_file,
)
from cxr_edge_runtime.preprocess import (
    LOCATOR_CELLS,
    LOCATOR_SIDE,
    LUNG_BOX_VERSION,
    PreprocessSpec,
)
from cxr_edge_train.locator_folder import (
    MODELS,
    LocatorCheck,
    LocatorFolder,
    LocatorMetrics,
    LocatorRecord,
    read_locator,
    write_record,
)
from synthetic import noisy_gradient

FILE = MODELS["tflite"]
# Greys of what is drawn. A pneumonia's lungs are lighter.
_FLESH, _LUNG = 180, {"NORMAL": 40, "PNEUMONIA": 70}
_SIDE = 64


def small_network(
    weights: str | None = None, *, cells: int = LOCATOR_CELLS, output: str = "mask"
) -> keras.Model:
    """In place of ``build_locator``: a cell of mean grey g has the logit (120 - g) / 4."""
    image = keras.Input((LOCATOR_SIDE, LOCATOR_SIDE, 1), name="image")
    means = keras.layers.AveragePooling2D(LOCATOR_SIDE // cells)(image)
    layer = keras.layers.Conv2D(1, 1, name=output)
    model = keras.Model({"image": image}, {output: layer(means)}, name="small_locator")
    layer.set_weights([np.full((1, 1, 1, 1), -0.25), np.full(1, 30.0)])
    return model


def blind_network() -> keras.Model:
    """The same network, to which nothing is lung."""
    model = small_network()
    model.layers[-1].bias.assign(np.array([-1000.0]))
    return model


@functools.cache
def _converted(format: str = "tflite") -> bytes:
    return float32_model(small_network(), format)


def make_locator(folder: Path, *, margin: float = 1.2) -> LocatorFolder:
    """Write the folder of a finished locator, whose figures are made up."""
    contents = {name: _converted(format) for format, name in MODELS.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    none, every = Interval(0.0, 0.0, 0.2, 20), Interval(1.0, 0.8, 1.0, 20)
    record = LocatorRecord(
        version=LOCATOR_VERSION, margin=margin, files=describe_files(contents), weights="none",
        weights_sha256="", seed=0, dataset_digest="0" * 64, films={"train": 80, "validation": 40},
        without_mask=0,
        metrics=dict.fromkeys(_LUNG, LocatorMetrics(0.95, 0.3, 1.0, none, every)),
        checks=dict.fromkeys(contents, LocatorCheck(1.0, none, 0, 1e-5)),
        versions={"python": "3"}, seconds=1.0,
    )  # fmt: skip
    write_record(folder, record)
    return read_locator(folder)


def located_bundle(
    folder: Path,
    model: bytes | None = None,
    *,
    entry: LocatorEntry | None = None,
    file: str = FILE,
    is_gated: bool = True,
) -> Path:
    """Copy the bundle ``tiny`` with a small locator in place of its own.

    Args:
        folder: the folder to make.
        model: the locator, where it is another one.
        entry: what the manifest says of it, where that is something else.
        file: name of its file.
        is_gated: with limits on the distance that let every film pass, rather than without a gate.
    """
    tiny, contents = _without_locator("tiny")
    contents[file] = _converted() if model is None else model
    size = tiny.manifest.preprocess.height
    manifest = replace(
        tiny.manifest,
        preprocess=PreprocessSpec.of_version(LUNG_BOX_VERSION, size=size),
        locator=entry or LocatorEntry(FILE, LOCATOR_VERSION, 1.2),
        gate=GateLimits(1e6, 1e6) if is_gated else None,
        files=describe_files(contents),
    )
    write_bundle(folder, manifest, contents)
    return folder


def whole_film_bundle(folder: Path, name: str = "tiny", *, gate: GateLimits | None = None) -> Path:
    """Copy a shipped bundle as if it had no locator and its model were shown whole films.

    Args:
        folder: the folder to make.
        name: of the shipped bundle.
        gate: its limits, where they are others.
    """
    shipped, contents = _without_locator(name)
    manifest = replace(
        shipped.manifest,
        preprocess=PreprocessSpec.of_version(1, size=shipped.manifest.preprocess.height),
        locator=None,
        gate=gate or shipped.manifest.gate,
        files=describe_files(contents),
    )
    write_bundle(folder, manifest, contents)
    return folder


def _without_locator(name: str) -> tuple[Bundle, dict[str, bytes]]:
    """A shipped bundle, and its files but for the locator."""
    shipped = Bundle.load(cxr_edge_models.path(name))
    locator = locator_file(shipped.manifest.model.format)
    files = [file for file in shipped.manifest.files if file != locator]
    return shipped, {file: shipped.read(file) for file in files}


# Left, top, right and bottom of both lungs: columns 6 to 13 and 18 to 25 of cells, rows 8 to 23.
TWO_LUNGS = ((48, 64, 112, 192), (144, 64, 208, 192))


def drawn_film(
    *lungs: tuple[int, int, int, int], size: tuple[int, int] = (256, 256)
) -> NDArray[np.uint8]:
    """A film ``[H, W] uint8`` for ``size = (width, height)`` with dark rectangles, without margins.

    Args:
        lungs: left, top, right and bottom of each, in pixels.
        size: of the film; with 256 x 256 pixels a cell of the mask has eight along a side.
    """
    # Brighter towards the middle and below, as a body is; what is flat would be a margin.
    across, down = (np.linspace(0, 1, side) for side in size)
    pixels = (_FLESH + 10 - 60 * np.abs(across - 0.5) + 20 * down[:, np.newaxis]).astype(np.uint8)
    for left, top, right, bottom in lungs:
        pixels[top:bottom, left:right] = _LUNG["NORMAL"]
    return pixels


def film_without_lungs(size: tuple[int, int] = (256, 256)) -> NDArray[np.uint8]:
    """``[height, width] uint8``: noise, nowhere as dark as lung."""
    return noisy_gradient(size, seed=0) // 4 + 150


def lung_film(seed: int, label: str = "NORMAL") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A noisy film with two dark ellipses, and its mask, both ``[64, 64] uint8``."""
    random = np.random.default_rng(seed)
    mask = Image.new("L", (_SIDE, _SIDE))
    pen = ImageDraw.Draw(mask)
    top, height = random.integers(8, 16), random.integers(32, 40)
    for left in (random.integers(7, 12), random.integers(34, 39)):
        pen.ellipse((left, top, left + 18, top + height), fill=255)
    outline = np.asarray(mask)
    # Blotches, so that no two films are near-duplicates.
    blotches = random.integers(-30, 31, (8, 8)).repeat(8, 0).repeat(8, 1)
    film = np.where(outline > 0, _LUNG[label], _FLESH) + random.integers(-9, 10, (_SIDE, _SIDE))
    return np.clip(film + blotches, 0, 255).astype(np.uint8), outline


@dataclass(frozen=True)
class OutlinedData:
    """A data set after clean and split, with a mask of each training and validation film."""

    root: Path
    metadata: Path
    splits: Path
    masks: Path


def draw_outlined(folder: Path, *, patients: int = 60) -> OutlinedData:
    """Draw films of as many patients a label, clean and split them, and draw their masks.

    The test films have none; a locator that looked for theirs would say so.
    """
    import cxr_edge

    masks = folder / "masks"
    for split, first, count in (("train", 0, patients), ("test", 5_000, 4)):
        for number in range(first, first + count):
            for label, name in (("NORMAL", f"IM-{number:04}-0001"), ("PNEUMONIA", _person(number))):
                film, mask = lung_film(2 * number + (label == "PNEUMONIA"), label)
                _save(film, folder / "data" / split / label / f"{name}.png")
                if split == "train":
                    _save(mask, masks / label / f"{name}.png")
    metadata, splits = folder / "clean_metadata.csv", folder / "splits.csv"
    cxr_edge.clean(folder / "data", metadata)
    cxr_edge.split(metadata, splits)
    return OutlinedData(folder, metadata, splits, masks)


def _person(number: int) -> str:
    return f"person{number}_bacteria_1"


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
