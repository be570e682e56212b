"""Numbers of images and patients by label and kind, and the weights of the classes."""

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn
from matplotlib.container import BarContainer
from sklearn.utils.class_weight import compute_class_weight

from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.dataset.metadata import FOLDERS
from cxr_edge_train.dataset.patients import KINDS, NORMAL, patient_groups
from cxr_edge_train.reporting.figures import LABEL_COLOURS, new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table


def class_counts(table: pd.DataFrame, figure_file: Path) -> Section:
    """Count images and patients by split, label and kind.

    Args:
        table: the metadata.
        figure_file: the PNG file to write.
    """
    counted = (
        table.assign(who=patient_groups(table))
        .groupby(["split", "label", "kind"])
        .agg(images=("path", "size"), patients=("who", "nunique"))
    )
    order = [
        (split, label, kind)
        for split in FOLDERS
        for label in class_names(table)
        for kind in KINDS
        if (split, label, kind) in counted.index
    ]
    rows = [[*key, f"{counted.images[key]:,}", f"{counted.patients[key]:,}"] for key in order]
    return Section(
        "Class counts",
        [
            "Split is the data set's own folder. Kind is read from the file name; films of "
            f"{class_names(table).negative} are of kind normal. An image of an unknown patient "
            "counts as a patient of its own."
        ],
        tables=[Table(["split", "label", "kind", "images", "patients"], rows)],
        pictures=[Picture(_draw(table, figure_file), _balance_text(table))],
    )


def class_weights(learning: pd.DataFrame) -> Section:
    """Show how much an image of each label weighs in the loss.

    Args:
        learning: the rows outside test, which training uses; both labels must occur.
    """
    codes, names = positives(learning), class_names(learning)
    weights = compute_class_weight("balanced", classes=np.arange(len(names)), y=codes)
    counts = np.bincount(codes, minlength=len(names))
    rows = [
        [
            label,
            f"{counts[code]:,}",
            f"{counts[code] / codes.size:.1%}",
            f"{codes.size:,} / ({len(names)} x {counts[code]:,}) = {weights[code]:.3f}",
            f"{counts[code] * weights[code] / codes.size:.1%}",
        ]
        for code, label in enumerate(names)
    ]
    return Section(
        "Class weights",
        [
            "In the loss an image counts with the weight of its class, w(class) = n / (k x "
            "n(class)): n images, k = 2 classes, n(class) images of the class, as scikit-learn's "
            "class_weight='balanced'. Both classes then weigh the same in total, and the mean "
            "weight of an image is 1.",
            "Counted on all images outside test; cxr-edge train counts its training split only, "
            "so its weights differ slightly.",
        ],
        tables=[Table(["label", "images", "share of images", "weight", "share of the loss"], rows)],
    )


def _draw(table: pd.DataFrame, file: Path) -> Path:
    splits = [split for split in FOLDERS if split in set(table["split"])]
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    normal, pneumonia = LABEL_COLOURS
    # Kinds of pneumonia are shades of its colour, lightest last.
    shades = seaborn.light_palette(pneumonia, n_colors=len(KINDS) + 1, reverse=True)
    palette = {kind: normal if kind == NORMAL else shades[KINDS.index(kind) - 1] for kind in kinds}
    figure = new_figure()
    axes = figure.subplots()
    seaborn.countplot(
        table, x="split", hue="kind", order=splits, hue_order=kinds, palette=palette,
        saturation=1, ax=axes,
    )  # fmt: skip
    for bars in axes.containers:
        assert isinstance(bars, BarContainer)  # all that countplot draws
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.margins(y=0.1)
    axes.set(title="Images by split and kind", xlabel="split (folder)", ylabel="images")
    axes.legend(title="kind", loc="upper left", bbox_to_anchor=(1, 1))
    seaborn.despine(ax=axes)
    return save_figure(figure, file)


def _balance_text(table: pd.DataFrame) -> str:
    finding = class_names(table).positive
    shares = {
        split: (rows["label"] == finding).mean()
        for split in FOLDERS
        if not (rows := table[table["split"] == split]).empty
    }
    listed = ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())
    caption = f"Number of images of each kind in each split. {finding} is {listed}."
    if "train" in shares and "test" in shares:
        caption += (
            f" Between train and test that is {abs(shares['train'] - shares['test']) * 100:.1f} "
            "points apart; predictive values shift with it, sensitivity and specificity do not."
        )
    return caption
