"""Number of images per patient."""

from pathlib import Path

import pandas as pd
import seaborn
from matplotlib.container import BarContainer

from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.reporting.figures import LABEL_COLOURS, new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section

# More images than this are one bar, so that one patient with hundreds does not squeeze the rest.
_MOST = 10


def images_per_patient(table: pd.DataFrame, figure_file: Path) -> Section:
    """Count the patients by their number of images and by label.

    Args:
        table: the metadata.
        figure_file: the PNG file to write; not written where no patient is known.
    """
    title = "Images per patient"
    known = table[table["patient"] != ""]
    unknown = len(table) - len(known)
    alarm = (
        f"The patient of {unknown:,} of {len(table):,} images is unknown: films of one person may "
        "fall on both sides of a split. Give cxr-edge clean a patient pattern if the file names "
        "identify the patients."
        if unknown
        else ""
    )
    if known.empty:
        return Section(title, ["No patient is known, so there is nothing to count."], alarm)
    return Section(
        title,
        _text(known),
        alarm,
        pictures=[
            Picture(
                _draw(known, figure_file),
                "How many patients have one image, two, and so on; the scale is logarithmic. "
                "A model can memorise the patients of the bars far to the right.",
            )
        ],
    )


def _text(known: pd.DataFrame) -> list[str]:
    counts = known.groupby("patient").size()
    several = counts[counts > 1]
    sentences = [
        f"{len(counts):,} patients are known by the file names. {len(several):,} of them have "
        f"more than one image; together these have {several.sum():,} of {len(known):,} images. "
        f"The largest number is {counts.max():,} ({counts.idxmax()})."
    ]
    if len(several):
        sentences.append(
            "Films of one person are alike, so a split by image would put a patient into training "
            "and validation at once. cxr-edge split therefore splits by patient."
        )
    both = int((known.groupby("patient")["label"].nunique() > 1).sum())
    if both:
        sentences.append(f"{both:,} patients have images of both labels and count in both colours.")
    return sentences


def _draw(known: pd.DataFrame, file: Path) -> Path:
    counts = known.groupby(["patient", "label"]).size().rename("images").reset_index()
    top = int(min(counts["images"].max(), _MOST))
    names = [str(number) for number in range(1, top + 1)]
    if counts["images"].max() > _MOST:
        names[-1] = f"{_MOST} or more"
    counts["bar"] = [names[min(images, _MOST) - 1] for images in counts["images"]]
    figure = new_figure(9.0)
    axes = figure.subplots()
    seaborn.countplot(
        counts, x="bar", hue="label", order=names, hue_order=class_names(known),
        palette=LABEL_COLOURS,
        saturation=1, ax=axes,
    )  # fmt: skip
    axes.set_yscale("log")
    for bars in axes.containers:
        assert isinstance(bars, BarContainer)  # all that countplot draws
        heights = [f"{bar.get_height():,.0f}" if bar.get_height() else "" for bar in bars]
        axes.bar_label(bars, heights, fontsize=7, padding=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0.5)
    axes.margins(y=0.1)
    axes.set(title="Images per patient", xlabel="images of the patient", ylabel="patients (log)")
    axes.legend(title="label", loc="upper left", bbox_to_anchor=(1, 1))
    seaborn.despine(ax=axes)
    return save_figure(figure, file)
