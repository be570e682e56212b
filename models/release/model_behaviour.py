"""What a bundle goes by: validation films changed where no pneumonia is, and its maps.

python models/release/model_behaviour.py BUNDLE RUN [--root DIR] [--output DIR]

RUN names the validation films; --output gets behaviour.json and activation_maps.png, which shows
maps and the lungs' box without the films, so that it may be published.
"""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.metrics import roc_auc_score

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.preprocess import preprocess
from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.worst_errors import draw_films
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.runs import read_dataset, read_run

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float64]

# Left, top, right and bottom of the box that holds the lungs of nearly every film of this set. It
# holds heart and spine as well.
LUNGS = (0.08, 0.10, 0.92, 0.82)
# What is blacked out along the borders stays outside of the box; corners reach into its own.
_CORNER, _BORDER, _STRETCH, _QUALITY = 0.2, 0.08, 1.25, 50
SHOWN = 10


def as_jpeg(film: Pixels) -> Pixels:
    """All films at one quality."""
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(buffer))


def stretched(film: Pixels) -> Pixels:
    """A quarter wider; a tenth is cut off at each side."""
    height, width = film.shape
    cut = width * (1 - 1 / _STRETCH) / 2
    box = (cut, 0, width - cut, height)
    return np.asarray(
        Image.fromarray(film).resize((width, height), Image.Resampling.BICUBIC, box=box)
    )


def without_corners(film: Pixels) -> Pixels:
    """A fifth of each side black at every corner, where markers and times stand."""
    height, width = (int(_CORNER * side) for side in film.shape)
    changed = film.copy()
    for rows in (np.s_[:height], np.s_[-height:]):
        for columns in (np.s_[:width], np.s_[-width:]):
            changed[rows, columns] = 0
    return changed


def without_borders(film: Pixels) -> Pixels:
    """Every border black, outside of :data:`LUNGS`."""
    height, width = (int(_BORDER * side) for side in film.shape)
    changed = np.zeros_like(film)
    changed[height:-height, width:-width] = film[height:-height, width:-width]
    return changed


def inverted(film: Pixels) -> Pixels:
    """Black and white turned round."""
    return 255 - film


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    f"all as JPEG of quality {_QUALITY}": as_jpeg,
    "a quarter wider, sides cut off": stretched,
    "corners blacked out": without_corners,
    "borders blacked out": without_borders,
    "inverted": inverted,
}


def answers(subject: BundleSubject, films: Pixels) -> Probabilities:
    """The probability ``[N]`` of films ``[N, H, W, 1]``."""
    logits = subject.logits(film[np.newaxis] for film in films)
    return subject.operating_point.probabilities(logits)


def share_in_lungs(activation_map: NDArray[np.floating]) -> float:
    """The share of what speaks for the answer that lies inside :data:`LUNGS`.

    Args:
        activation_map: ``[h, w]``, above zero where it speaks for the answer: the ``cam`` output
            for PNEUMONIA, its negative for NORMAL. Enlarged so that the box cuts cells.
    """
    side = 100
    positive = Image.fromarray(np.maximum(activation_map, 0).astype(np.float32))
    enlarged = np.asarray(positive.resize((side, side), Image.Resampling.NEAREST))
    left, top, right, bottom = (round(side * edge) for edge in LUNGS)
    return float(enlarged[top:bottom, left:right].sum() / max(enlarged.sum(), 1e-9))


def shortcuts(
    subject: BundleSubject, films: Pixels, labels: NDArray[np.integer], before: Probabilities
) -> dict[str, Any]:
    """How far probabilities and decisions move with each change.

    Args:
        subject: the bundle.
        films: ``[N, H, W, 1]``.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
        before: ``[N]``, of the films as they are.

    Returns:
        By change ``auc``, ``mean_probability_shift`` (of either sign), ``decisions_changed`` (a
        share), and by label ``shift``, the mean with its sign, and ``right`` decisions, a share.
    """
    found: dict[str, Any] = {}
    changes: dict[str, Callable[[Pixels], Pixels]] = {"unchanged": lambda film: film, **CHANGES}
    for name, change in changes.items():
        after = answers(subject, np.stack([change(film[:, :, 0]) for film in films])[..., None])
        called = after >= subject.operating_point.threshold
        found[name] = {
            "auc": float(roc_auc_score(labels, after)),
            "mean_probability_shift": float(np.abs(after - before).mean()),
            "decisions_changed": float(
                (called != (before >= subject.operating_point.threshold)).mean()
            ),
            **{
                label: {
                    "shift": float((after - before)[labels == value].mean()),
                    "right": float((called == value)[labels == value].mean()),
                }
                for value, label in enumerate(LABELS)
            },
        }
    return found


def box_alone(side: int) -> Pixels:
    """A black film ``[side, side, 1]`` with the outline of :data:`LUNGS` in white."""
    film = Image.new("L", (side, side))
    ImageDraw.Draw(film).rectangle([round(side * edge) for edge in LUNGS], outline=255)
    return np.asarray(film)[..., np.newaxis]


def shown_rows(
    labels: NDArray[np.integer], probability: Probabilities, threshold: float
) -> NDArray[np.intp]:
    """Ten right decisions drawn at random, then ten wrong ones, of each label those furthest off.

    Of the wrong ones half are false alarms and half are missed, as far as there are so many.

    Args:
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
        probability: ``[N]``.
        threshold: PNEUMONIA at or above it.
    """
    called = probability >= threshold
    right = np.flatnonzero(called == labels)
    drawn = np.random.default_rng(0).choice(right, size=min(SHOWN, len(right)), replace=False)
    by_distance = np.argsort(-np.abs(probability - threshold), kind="stable")
    alarms, missed = (
        by_distance[(called & (labels == 0))[by_distance]],
        by_distance[(~called & (labels == 1))[by_distance]],
    )
    some = min(len(alarms), max(SHOWN // 2, SHOWN - len(missed)))
    return np.concatenate([np.sort(drawn), alarms[:some], missed[: SHOWN - some]])


def maps(
    subject: BundleSubject,
    films: Pixels,
    rows: pd.DataFrame,
    probability: Probabilities,
    output: Path | None,
) -> dict[str, Any]:
    """The share of what speaks for the answer in the lungs' box, right and wrong ones apart."""
    chosen = shown_rows(positives(rows), probability, subject.operating_point.threshold)
    called = probability[chosen] >= subject.operating_point.threshold
    right = called == (positives(rows)[chosen] == 1)
    activation_maps = subject.activation_maps(films[chosen])
    signs = np.where(called, 1, -1)
    shares = np.array([share_in_lungs(sign * map_) for sign, map_ in zip(signs, activation_maps)])
    if output:
        captions = [
            f"{'right' if right_ else 'wrong'}, label {rows['label'].iloc[row]},\n"
            f"probability {probability[row]:.2f}, {share:.0%} in the box"
            for row, right_, share in zip(chosen, right, shares)
        ]
        canvas = np.stack([box_alone(films.shape[1])] * len(chosen))
        title = f"Where {subject.identity.bundle} looks, validation films; the box holds the lungs"
        figure = draw_films(captions, canvas, activation_maps, title=title, columns=5)
        save_figure(figure, output / "activation_maps.png")
    left, top, box_right, bottom = LUNGS
    kinds = {
        "right": right,
        "false alarms": ~right & called,
        "missed": ~right & ~called,
    }
    return {
        "cells": list(activation_maps.shape[1:]),
        "box_share_of_area": round((box_right - left) * (bottom - top), 4),
        **{
            name: {"films": int(kind.sum()), "mean_share_in_box": float(shares[kind].mean())}
            for name, kind in kinds.items()
            if kind.any()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", help="folder or name of a shipped bundle")
    parser.add_argument("run", type=Path, help="folder of the run it was made from")
    parser.add_argument("--root", type=Path, help="folder of the images, if they were moved")
    parser.add_argument("--output", type=Path, help="folder for behaviour.json and the figure")
    arguments = parser.parse_args()
    try:
        measure(arguments.bundle, arguments.run, arguments.root, arguments.output)
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")


def measure(bundle: str, run: Path, root: Path | None, output: Path | None) -> None:
    """Print what was found, and write it where there is a folder for it."""
    subject = BundleSubject(load_bundle(bundle))
    table = read_dataset(run)
    rows = table[table["split"] == "validation"].reset_index(drop=True)
    folder = root or Path(read_run(run).root)
    films = np.concatenate(
        [
            preprocess(read_unchanged(folder / path, md5), subject.preprocess)
            for path, md5 in zip(rows["path"], rows["md5"])
        ]
    )
    probability = answers(subject, films)
    found = {
        "bundle": subject.identity.bundle,
        "model_sha256": subject.identity.model_sha256,
        "films": {label: int((rows["label"] == label).sum()) for label in LABELS},
        "shortcuts": shortcuts(subject, films, positives(rows), probability),
        "activation_maps": maps(subject, films, rows, probability, output),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if output:
        write_text(output / "behaviour.json", text + "\n")


if __name__ == "__main__":
    main()
