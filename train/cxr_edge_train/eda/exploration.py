"""From a cleaned data set to ``eda.html`` and its figures."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.arguments import as_path, check_callables
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files.outputs import begins_with, check_folder
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.metadata import dataset_digest, images_root, read_metadata
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.dataset.sampling import as_seed, spread_over_patients
from cxr_edge_train.eda.cleaning import cleaning_sections, plot_files
from cxr_edge_train.eda.counts import class_counts, class_weights
from cxr_edge_train.eda.films import augmentation_preview, random_samples
from cxr_edge_train.eda.intensity import intensity_histograms, read_intensities
from cxr_edge_train.eda.patients import images_per_patient
from cxr_edge_train.eda.sizes import image_sizes
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Recipe, as_recipe
from cxr_edge_train.reporting.page import Section, Table, write_page

PAGE = "eda.html"
_IS_PAGE = begins_with(b"<!doctype html>")
# Enough that a label's mean histogram no longer moves, few enough that full-size films, at about
# 30 ms each to decode, take half a minute.
INTENSITY_IMAGES = 500


@dataclass(frozen=True, slots=True)
class Exploration:
    """The page about a data set, as it was written.

    Attributes:
        page: the HTML file.
        figures: the PNG files beside it, which the page contains too.
        warnings: what the reader must not overlook, one or more sentences each.
        notice: that this is research software.
    """

    page: Path
    figures: tuple[Path, ...]
    warnings: tuple[str, ...]
    notice: str = NOTICE


def eda(
    metadata: str | Path,
    output: str | Path = "eda",
    *,
    recipe: str | Path | Recipe | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    progress: ProgressFactory = no_progress,
) -> Exploration:
    """Explore a cleaned data set: write one HTML page about it, and its figures as PNG files.

    Counts and file properties are shown of all splits; pixels are read of train and val only,
    never of test. All pixels are read before anything is written, and the page is written last.

    Args:
        metadata: ``clean_metadata.csv``; the cleaning report is read where it lies beside it.
        output: folder to make, or that of an earlier exploration.
        recipe: the recipe whose augmentation is shown, or its TOML file; None for the defaults.
        root: folder that the paths in the metadata are relative to; None for the folder of the
            metadata.
        seed: seed of the random samples and of the augmentation, 0 to 2**32 - 1.
        progress: makes the progress bar over the images that are read.

    Returns:
        The paths of the page and of its figures, and the warnings.

    Raises:
        InvalidRequest: an argument is not a path, the output holds something else or cannot be
            written, or the recipe is wrong.
        DatasetError: the metadata or the cleaning report is damaged, a label has no image outside
            test, or an image is missing or changed since it was cleaned.
        ImageError: an image cannot be read or decoded.

    Examples:
        >>> from cxr_edge import eda
        >>> exploration = eda("clean_metadata.csv", "eda")
        >>> exploration.page.name, len(exploration.figures)
        ('eda.html', 9)
    """
    metadata, output = as_path(metadata, "metadata"), as_path(output, "output")
    seed = as_seed(seed)
    check_callables(progress=progress)
    check_folder(output, "an exploration", ours=lambda folder: _IS_PAGE(folder / PAGE))
    planned = as_recipe(recipe)
    root = images_root(root, default=metadata.resolve().parent)
    table = read_metadata(metadata)
    learning = table[table["split"] != "test"]
    names = class_names(table)
    for label in names:
        if label not in set(learning["label"]):
            raise DatasetError(
                f"{metadata}: no {label} images outside test, so there are none to show"
            )
    ordered = spread_over_patients(learning, seed=seed)
    intensities = read_intensities(
        ordered, per_label=INTENSITY_IMAGES, root=root, progress=progress
    )
    patients_file = output / "images_per_patient.png"
    sections = [
        _overview(metadata, table, seed),
        *cleaning_sections(metadata, table, folder=output),
        class_counts(table, output / "class_counts.png"),
        class_weights(learning),
        images_per_patient(table, patients_file),
        image_sizes(table, output / "sizes.png", output / "aspect_ratios.png"),
        intensity_histograms(intensities, output / "intensities.png"),
        random_samples(
            ordered,
            root=root,
            files={label: output / f"samples_{label.lower()}.png" for label in names},
        ),
        augmentation_preview(
            ordered,
            planned,
            recipe_name=_recipe_name(recipe),
            root=root,
            seed=seed,
            file=output / "augmentation.png",
        ),
    ]
    page = output / PAGE
    write_page(page, title="Exploration of the data set", notice=NOTICE, sections=sections)
    figures = tuple(picture.file for section in sections for picture in section.pictures)
    for file in (*plot_files(output), patients_file):
        if file not in figures:  # of an earlier exploration; now there was nothing to draw
            file.unlink(missing_ok=True)
    return Exploration(
        page,
        figures,
        tuple(section.alarm for section in sections if section.alarm),
    )


def _recipe_name(recipe: str | Path | Recipe | None) -> str:
    """What the page calls a recipe."""
    if recipe is None:
        return "the defaults"
    return "as given in Python" if isinstance(recipe, Recipe) else Path(recipe).name


def _overview(metadata: Path, table: pd.DataFrame, seed: int) -> Section:
    facts = [
        ["metadata", metadata.name],
        ["images", f"{len(table):,}"],
        [
            "patients (each image of an unknown patient counts as one)",
            f"{patient_groups(table).nunique():,}",
        ],
        ["digest of splits, labels and images", dataset_digest(table)[:12]],
        ["seed", str(seed)],
    ]
    return Section(
        "Overview",
        [
            "What the data set holds, before anything is trained on it. Counts and file properties "
            "are shown of every split. Films, their intensities and the augmentation are shown of "
            "train and val only: no pixel of test was read for this page, since choices made after "
            "looking at test images make the test result too good.",
            "The page contains films of the data set: pass it on only as the data's licence and "
            "the patients' privacy allow.",
        ],
        tables=[Table(["fact", "value"], facts)],
    )
