"""Films to be seen: random samples, and some of them after augmentation."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from cxr_edge_train.augmentation import CROPPED_FROM, augment, random_crop
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.recipe import Augmentation, Recipe
from cxr_edge_train.reporting.figures import new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table

SAMPLES = 12
_COLUMNS = 4
# Longest side of a sample on the page, pixels.
_TILE = 320
# Height of a grid's line in its tiles' widths; a taller film is drawn smaller.
_TALLEST = 1.5
# Films of each label that are augmented, and versions of each.
_AUGMENTED, _VERSIONS = 3, 5


def random_samples(ordered: pd.DataFrame, *, root: Path, files: dict[str, Path]) -> Section:
    """Show a grid of films of each label, in their own aspect ratio.

    Args:
        ordered: rows outside test in random order; the first of each label are shown.
        root: folder that the paths are relative to.
        files: the PNG file to write for each label.

    Raises:
        DatasetError: an image is missing or changed since it was cleaned.
        ImageError: an image cannot be read or decoded.
    """
    names = class_names(ordered)
    shown = {label: ordered[ordered["label"] == label].head(SAMPLES) for label in names}
    return Section(
        "Random samples",
        [
            "From train and val only: what test looks like must not guide a choice. Another seed "
            "selects other films."
        ],
        pictures=[
            Picture(
                _draw_samples(label, shown[label], root, files[label]),
                f"{len(shown[label])} random {label} films, numbered as in the table above. "
                "Look for wrong labels, wrong body parts, inverted greys, and for borders, "
                "markers or texts that only one label has.",
            )
            for label in names
        ],
        tables=[
            Table(
                ["number", *names],
                [
                    [
                        str(number + 1),
                        *(
                            shown[label]["path"].iloc[number] if number < len(shown[label]) else ""
                            for label in names
                        ),
                    ]
                    for number in range(max(map(len, shown.values())))
                ],
            )
        ],
    )


def augmentation_preview(
    ordered: pd.DataFrame, recipe: Recipe, *, recipe_name: str, root: Path, seed: int, file: Path
) -> Section:
    """Show some films as the model gets them, beside random augmentations of them.

    Args:
        ordered: rows outside test in random order; the first of each label are shown.
        recipe: gives the augmentation and the image size.
        recipe_name: the name of the recipe on the page.
        root: folder that the paths are relative to.
        seed: seed of the augmentation.
        file: the PNG file to write.

    Raises:
        DatasetError: an image is missing or changed since it was cleaned.
        ImageError: an image cannot be read or decoded.
    """
    size = recipe.model.image_size
    larger = round(CROPPED_FROM * size)
    rows = ordered.groupby("label").head(_AUGMENTED).sort_values("label", kind="stable")
    spec = PreprocessSpec(height=larger, width=larger)
    films = [
        preprocess(read_unchanged(root / path, md5), spec)[0, :, :, 0]
        for path, md5 in zip(rows["path"], rows["md5"])
    ]
    number = rows.groupby("label").cumcount() + 1
    names = [f"{label}\n{n}" for label, n in zip(rows["label"], number)]
    planned, defaults = asdict(recipe.augmentation), asdict(Augmentation())
    return Section(
        "Planned augmentation",
        [
            f"Recipe: {recipe_name}. Each training image is changed at random in every epoch; "
            "validation and test images never are. Images are not mirrored: the heart lies on the "
            "left.",
            "Crop is the smallest share that is shown of the film's area or, with a lung locator, "
            "of the box of its lungs. Rotation is in degrees and gamma bounds an exponent; "
            "contrast and brightness are shares; the others are probabilities.",
        ],
        tables=[
            Table(
                ["setting", "value", "default"],
                [[name, f"{planned[name]:g}", f"{defaults[name]:g}"] for name in planned],
            )
        ],
        pictures=[
            Picture(
                _draw_augmentation(films, names, recipe, seed, file),
                f"Left, the first {_AUGMENTED} samples of each label as the model gets them, "
                f"{size} x {size} pixels; to the right, {_VERSIONS} random versions of each. A "
                "reader should still be able to recognise the label of every version: if an "
                "opacity is gone or lungs are cut off, the recipe is too strong.",
            )
        ],
    )


def _draw_samples(label: str, rows: pd.DataFrame, root: Path, file: Path) -> Path:
    # A row of the grid is as high as its tallest film needs.
    shapes = (rows["height"] / rows["width"]).clip(upper=_TALLEST).tolist()
    heights = [max(shapes[at : at + _COLUMNS]) for at in range(0, len(rows), _COLUMNS)]
    figure = new_figure(9.0, 0.4 + sum(0.25 + 2.2 * height for height in heights))
    figure.suptitle(f"Random {label} films, train and val")
    grid = figure.subplots(len(heights), _COLUMNS, squeeze=False, height_ratios=heights).ravel()
    for axes in grid:
        axes.axis("off")
    for number, (axes, row) in enumerate(zip(grid, rows.itertuples()), start=1):
        tile = Image.fromarray(read_unchanged(root / row.path, row.md5))
        tile.thumbnail((_TILE, _TILE))
        axes.imshow(np.asarray(tile), cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{number}: {row.kind}, {row.width} x {row.height} px", fontsize=8)
    return save_figure(figure, file)


def _draw_augmentation(
    films: list[NDArray[np.uint8]],
    names: list[str],
    recipe: Recipe,
    seed: int,
    file: Path,
) -> Path:
    figure = new_figure(9.0, 0.6 + 1.5 * len(films))
    figure.suptitle("Planned augmentation, train and val films")
    grid = figure.subplots(len(films), 1 + _VERSIONS, squeeze=False)
    for index, (line, film, name) in enumerate(zip(grid, films, names)):
        versions = []
        for version in range(_VERSIONS):
            random = np.random.default_rng((seed, version, index))
            view = random_crop(film, recipe.model.image_size, recipe.augmentation, random)
            versions.append(augment(view, recipe.augmentation, random))
        for axes, pixels in zip(line, [film, *versions]):
            axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize=8)
    for column, axes in enumerate(grid[0]):
        axes.set_title(f"version {column}" if column else "original", fontsize=9)
    return save_figure(figure, file)
