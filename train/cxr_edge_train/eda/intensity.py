"""Mean grey-level histogram of each label."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn
from numpy.typing import NDArray

from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.eda.separation import separation_text
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.reporting.figures import LABEL_COLOURS, new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table

GREYS = 256
# Four greys to a bin: JPEG and contrast stretching leave combs that would hide the shape.
_BINS = 64
# The band around the mean holds four of five images.
_BAND = (10, 90)


@dataclass(frozen=True, slots=True)
class Intensities:
    """Grey levels of a sample of images.

    Attributes:
        rows: the metadata of the sample, ``N`` rows.
        histograms: ``[N, 256] float64``, share of an image's pixels at each grey level.
        available: number of images of each label that the sample was drawn from.
    """

    rows: pd.DataFrame
    histograms: NDArray[np.float64]
    available: dict[str, int]


def read_intensities(
    ordered: pd.DataFrame,
    *,
    per_label: int,
    root: Path,
    progress: ProgressFactory = no_progress,
) -> Intensities:
    """Measure the grey levels of the first images of each label, at full resolution.

    Args:
        ordered: rows outside test in random order.
        per_label: largest number of images to read of a label.
        root: folder that the paths are relative to.
        progress: makes the progress bar over the images.

    Raises:
        DatasetError: an image is missing or changed since it was cleaned.
        ImageError: an image cannot be read or decoded.
    """
    rows = ordered.groupby("label").head(per_label).reset_index(drop=True)
    histograms = np.empty((len(rows), GREYS))
    paths = progress("reading images")(rows["path"], len(rows))
    for index, (path, md5) in enumerate(zip(paths, rows["md5"])):
        pixels = read_unchanged(root / path, md5)
        histograms[index] = np.bincount(pixels.ravel(), minlength=GREYS) / pixels.size
    return Intensities(rows, histograms, ordered["label"].value_counts().to_dict())


def intensity_histograms(intensities: Intensities, figure_file: Path) -> Section:
    """Show the mean histogram of each label and how much images differ from it.

    Args:
        intensities: grey levels of train and val images.
        figure_file: the PNG file to write.
    """
    rows, histograms = intensities.rows, intensities.histograms
    greys = np.arange(GREYS)
    mean = histograms @ greys
    deviation = np.sqrt(np.maximum(histograms @ greys**2 - mean**2, 0))
    table: list[list[str]] = []
    for label in class_names(rows):
        of = (rows["label"] == label).to_numpy()
        table.append(
            [
                label,
                f"{of.sum():,} of {intensities.available[label]:,}",
                f"{patient_groups(rows[of]).nunique():,}",
                f"{mean[of].mean():.1f} ± {mean[of].std():.1f}",
                f"{deviation[of].mean():.1f}",
                f"{histograms[of, 0].mean():.2%}",
                f"{histograms[of, -1].mean():.2%}",
            ]
        )
    columns = [
        "label", "images read", "patients", "mean grey", "contrast", "black (0)", "white (255)",
    ]  # fmt: skip
    return Section(
        "Intensities",
        [
            "From images of train and val only, selected at random so that every patient "
            "contributes one before any contributes a second, and read at full resolution. Mean "
            "grey is the mean of the images' means ± their standard deviation; contrast is the "
            "mean standard deviation of grey within an image; black and white are the mean shares "
            "of pixels at 0 and 255."
        ],
        tables=[Table(columns, table)],
        pictures=[
            Picture(
                _draw(rows, histograms, figure_file),
                "Mean histogram of each label, all images weighted equally; the band holds the "
                "middle 80% of the images at each grey. Look for a peak at 0 (black borders), at "
                "255 (burnt-out film or text), and for curves whose bands do not overlap. "
                + separation_text(
                    "mean grey",
                    mean,
                    rows,
                    cause="Opacities brighten a film, but so do exposure and the console: ask "
                    "which one applies here.",
                ),
            )
        ],
    )


def _draw(rows: pd.DataFrame, histograms: NDArray[np.float64], file: Path) -> Path:
    width = GREYS // _BINS
    shares = 100 * histograms.reshape(len(histograms), _BINS, width).sum(axis=2)
    centres = np.arange(_BINS) * width + (width - 1) / 2
    figure = new_figure(8.0)
    axes = figure.subplots()
    for label, colour in zip(class_names(rows), LABEL_COLOURS):
        of = shares[(rows["label"] == label).to_numpy()]
        low, high = np.percentile(of, _BAND, axis=0)
        axes.fill_between(centres, low, high, color=colour, alpha=0.15, linewidth=0)
        for edge in (low, high):
            axes.plot(centres, edge, color=colour, linestyle=":", linewidth=0.8)
        axes.plot(centres, of.mean(axis=0), color=colour, label=f"{label}, n = {len(of):,}")
    axes.set(
        title="Mean grey-level histogram by label, train and val",
        xlabel=f"grey level, 0 is black ({width} levels per bin)", ylabel="share of pixels, %",
        xlim=(0, GREYS - 1),
    )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.legend()
    seaborn.despine(ax=axes)
    return save_figure(figure, file)
