"""A lung locator that is made in seconds, and outlined films that it finds the lungs of.

Its network takes for lung what is dark. :func:`make_locator` writes the folder of a finished one
without training; ``small_locator`` of ``tests/conftest.py`` is such a folder.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxr_edge_runtime.preprocess import LOCATOR_CELLS, LOCATOR_SIDE

_SIDE = 64
# Greys of what is drawn. A pneumonia's lungs are lighter.
_FLESH, _LUNG = 180, {"NORMAL": 40, "PNEUMONIA": 70}
# A cell of grey g has the logit (120 - g) / 4.
_WEIGHT, _BIAS = -0.25, 30.0


@dataclass(frozen=True)
class OutlinedData:
    """A data set after clean and split, with a mask of each training and validation film."""

    root: Path
    metadata: Path
    splits: Path
    masks: Path


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


def small_network(weights: str | None = None) -> keras.Model:
    """In place of ``build_locator``: the mean grey of each cell decides, and training goes on."""
    image = keras.Input((LOCATOR_SIDE, LOCATOR_SIDE, 1), name="image")
    cells = keras.layers.AveragePooling2D(LOCATOR_SIDE // LOCATOR_CELLS)(image)
    layer = keras.layers.Conv2D(1, 1, name="mask")
    model = keras.Model({"image": image}, {"mask": layer(cells)}, name="small_locator")
    layer.set_weights([np.full((1, 1, 1, 1), _WEIGHT), np.full(1, _BIAS)])
    return model


def blind_network() -> keras.Model:
    """The same network, to which nothing is lung."""
    model = small_network()
    model.layers[-1].bias.assign(np.array([-1000.0]))
    return model


def make_locator(folder: Path, *, margin: float = 1.2) -> Path:
    """Write the folder of a finished locator, whose figures are made up."""
    from cxr_edge_convert.locator.conversion import convert_locator
    from cxr_edge_runtime.bundle.manifest import LOCATOR_VERSION, FileEntry, Interval
    from cxr_edge_train.locator.folder import (
        KERAS,
        MODELS,
        LocatorCheck,
        LocatorMetrics,
        LocatorRecord,
        write_record,
    )

    folder.mkdir(parents=True, exist_ok=True)
    model, files = small_network(), {}
    model.save(folder / KERAS)
    (folder / "history.csv").write_text("epoch,loss,seconds,val_dice\n0,0.1,1.0,0.9\n")
    for format, name in MODELS.items():
        content = convert_locator(model, format)
        (folder / name).write_bytes(content)
        files[name] = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    none, every = Interval(0.0, 0.0, 0.2, 20), Interval(1.0, 0.8, 1.0, 20)
    write_record(
        folder,
        LocatorRecord(
            version=LOCATOR_VERSION,
            margin=margin,
            files=files,
            weights="none",
            weights_sha256="",
            seed=0,
            dataset_digest="0" * 64,
            films={"train": 80, "validation": 40},
            without_mask=0,
            metrics=dict.fromkeys(
                ("NORMAL", "PNEUMONIA"), LocatorMetrics(0.95, 0.3, 1.0, none, every)
            ),
            checks=dict.fromkeys(files, LocatorCheck(1.0, none, 0, 1e-5)),
            versions={"python": "3"},
            seconds=1.0,
        ),
    )
    return folder
