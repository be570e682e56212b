"""Width, height and aspect ratio of the stored images, by label."""

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn

from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.metadata import FOLDERS
from cxr_edge_train.eda.separation import separation_text
from cxr_edge_train.reporting.figures import LABEL_COLOURS, NEUTRAL, new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table

_CAUSE = (
    "Ask whether one label comes from another device, ward or export; resizing to the model's "
    "square input hides the size but not the changed proportions."
)


def image_sizes(table: pd.DataFrame, sizes_file: Path, aspect_file: Path) -> Section:
    """Show the sizes and aspect ratios of all splits.

    How well they separate the labels is measured outside test.

    Args:
        table: the metadata.
        sizes_file: the PNG file of width against height to write.
        aspect_file: the PNG file of aspect ratios to write.
    """
    learning = table[table["split"] != "test"]
    rows = [
        _row(split, label, group)
        for split in FOLDERS
        for label in class_names(table)
        if not (group := table[(table["split"] == split) & (table["label"] == label)]).empty
    ]
    columns = ["split", "label", "images", "sizes", "width, px", "height, px", "aspect ratio"]
    megapixels = (learning["width"] * learning["height"]).to_numpy()
    aspect = (learning["width"] / learning["height"]).to_numpy()
    return Section(
        "Image sizes",
        [
            "Median (smallest to largest) of the stored width and height, before any resizing; "
            "sizes is the number of different ones; aspect ratio is width / height. How well they "
            "separate the labels is measured outside test."
        ],
        tables=[Table(columns, rows)],
        pictures=[
            Picture(
                _draw_sizes(table, sizes_file),
                "Width and height of every image; a larger bubble is more images of that size. "
                "Look for clouds that differ between the labels. "
                + separation_text("number of pixels", megapixels, learning, cause=_CAUSE),
            ),
            Picture(
                _draw_aspect(table, aspect_file),
                "Width divided by height, as a share of each label's images. Look for humps that "
                "only one label has. "
                + separation_text("aspect ratio", aspect, learning, cause=_CAUSE),
            ),
        ],
    )


def _row(split: str, label: str, group: pd.DataFrame) -> list[str]:
    aspect = group["width"] / group["height"]
    return [
        split,
        label,
        f"{len(group):,}",
        f"{len(group[['width', 'height']].drop_duplicates()):,}",
        *(_range(group[side], ".0f") for side in ("width", "height")),
        _range(aspect, ".2f"),
    ]


def _range(values: "pd.Series[float]", form: str) -> str:
    return f"{values.median():{form}} ({values.min():{form}} to {values.max():{form}})"


def _draw_sizes(table: pd.DataFrame, file: Path) -> Path:
    figure = new_figure(9.0)
    figure.suptitle("Image sizes by label, all splits")
    top = 1.1 * max(table["width"].max(), table["height"].max())
    for axes, label, colour in zip(
        figure.subplots(1, 2, sharex=True, sharey=True), class_names(table), LABEL_COLOURS
    ):
        group = table[table["label"] == label]
        sizes = group.groupby(["width", "height"]).size()
        width, height = (sizes.index.get_level_values(side) for side in ("width", "height"))
        axes.axline((0, 0), slope=1, color=NEUTRAL, linestyle="--", linewidth=1, label="square")
        # Areas in square points; a size that occurs once must still be seen.
        axes.scatter(
            width, height, s=np.maximum(10, 1200 * sizes / max(1, len(group))), alpha=0.5,
            color=colour, edgecolor="none",
        )  # fmt: skip
        if len(sizes) == 1:
            axes.annotate(
                f"{width[0]} x {height[0]} px\n{sizes.iloc[0]:,} images",
                (width[0], height[0]), xytext=(-24, 0), textcoords="offset points",
                ha="right", va="center",
            )  # fmt: skip
        axes.set(
            title=f"{label} ({len(group):,} images)", xlabel="width, pixels",
            ylabel="height, pixels", xlim=(0, top), ylim=(0, top), aspect="equal",
        )  # fmt: skip
        axes.legend(loc="lower right")
        seaborn.despine(ax=axes)
    return save_figure(figure, file)


def _draw_aspect(table: pd.DataFrame, file: Path) -> Path:
    aspect = table["width"] / table["height"]
    figure = new_figure(9.0, 3.8)
    figure.suptitle("Aspect ratio by label, all splits")
    # Odd, so that a set of one shape has its bar in the middle.
    edges = np.histogram_bin_edges(aspect, bins=41)
    for axes, label, colour in zip(
        figure.subplots(1, 2, sharex=True, sharey=True), class_names(table), LABEL_COLOURS
    ):
        group = aspect[table["label"] == label]
        seaborn.histplot(x=group, bins=edges, stat="percent", color=colour, alpha=0.8, ax=axes)
        if len(group):
            axes.axvline(group.median(), color="black", linestyle=":", label="median")
            axes.legend()
        axes.set(
            title=label, xlabel="aspect ratio, width / height", ylabel="share of its images, %"
        )
        seaborn.despine(ax=axes)
    return save_figure(figure, file)
