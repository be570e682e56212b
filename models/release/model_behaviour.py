"""Measure what a bundle relies on: how it answers changed validation films, and where it looks.

python models/release/model_behaviour.py BUNDLE RUN [--root DIR] [--output DIR]

The run in the folder RUN names the validation films. The folder after --output gets behaviour.json
and activation_maps.png. The picture shows the maps and the box around the lungs without the films,
so that it may be published.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.metrics import roc_auc_score

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.preprocess import WHOLE_FILM, Box, PreprocessSpec, preprocess
from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.worst_errors import draw_films
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.runs import read_dataset, read_run
from film_changes import CHANGES, LUNGS, Pixels

Probabilities = NDArray[np.float64]

# Sides of the films that are changed, as a multiple of the model's input, where a box is cut out.
_LARGER = 2
SHOWN = 10  # right decisions in the picture, and as many wrong ones


def predicted(subject: BundleSubject, films: Pixels) -> Probabilities:
    """Compute the probabilities ``[N]`` of whole films ``[N, H, W, 1] uint8``."""
    logits = subject.logits(subject.prepare(film[:, :, 0]).model_input for film in films)
    return subject.operating_point.probabilities(logits)


def share_in_lungs(activation_map: NDArray[np.floating], seen: Box | None = None) -> float:
    """Compute the share of the evidence for a decision that lies inside :data:`LUNGS`.

    Args:
        activation_map: ``[h, w]``, above zero where a cell supports the decision: the activation
            map for PNEUMONIA, its negative for NORMAL. It is enlarged so that the box can cut
            cells.
        seen: what of the film the map shows; None for all of it.

    Returns:
        A share between 0 and 1.
    """
    side = 100
    positive = Image.fromarray(np.maximum(activation_map, 0).astype(np.float32))
    shown = seen or WHOLE_FILM
    x0, y0, x1, y1 = (round(side * edge) for edge in astuple(shown))
    enlarged = np.zeros((side, side), dtype=np.float32)
    resized = positive.resize((x1 - x0, y1 - y0), Image.Resampling.NEAREST)
    enlarged[y0:y1, x0:x1] = np.asarray(resized)
    left, top, right, bottom = (round(side * edge) for edge in LUNGS)
    return float(enlarged[top:bottom, left:right].sum() / max(enlarged.sum(), 1e-9))


def blob(cells: int) -> NDArray[np.floating]:
    """A map that looks at no film: a round blob in the middle, the baseline for a share."""
    from_middle = np.linspace(-1, 1, cells)
    return np.exp(-2 * (from_middle[:, np.newaxis] ** 2 + from_middle**2))


def shortcuts(
    subject: BundleSubject, films: Pixels, labels: NDArray[np.integer], before: Probabilities
) -> dict[str, Any]:
    """Measure how far probabilities and decisions move with each change of the films.

    Args:
        subject: the bundle.
        films: ``[N, H, W, 1] uint8``.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
        before: ``[N]``, the probabilities of the unchanged films.

    Returns:
        For each change the ``auc``, ``mean_probability_shift`` (the mean of the absolute shifts)
        and ``decisions_changed`` (a share); and for each label ``shift`` (the mean with its sign)
        and ``right`` (the share of correct decisions).
    """
    found: dict[str, Any] = {}
    changes: dict[str, Callable[[Pixels], Pixels]] = {"unchanged": lambda film: film, **CHANGES}
    for name, change in changes.items():
        after = predicted(subject, np.stack([change(film[:, :, 0]) for film in films])[..., None])
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


def box_alone(side: int, seen: Box | None = None) -> Pixels:
    """Draw the outline of :data:`LUNGS` in white on a black film ``[side, side, 1] uint8``.

    Args:
        side: of the film.
        seen: what is shown of the film; None for all of it.
    """
    film = Image.new("L", (side, side))
    ImageDraw.Draw(film).rectangle([round(side * edge) for edge in LUNGS], outline=255)
    shown: Pixels = preprocess(np.asarray(film), PreprocessSpec(side, side), seen or WHOLE_FILM)[0]
    return shown


def shown_rows(
    labels: NDArray[np.integer], probability: Probabilities, threshold: float
) -> NDArray[np.intp]:
    """Choose the films of the picture.

    Ten correct decisions are drawn at random. Ten wrong ones follow, half of them false alarms and
    half of them missed where there are so many, of each label those furthest from the threshold.

    Args:
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
        probability: ``[N]``.
        threshold: a film is called PNEUMONIA at or above it.

    Returns:
        Indices of films, at most 20.
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
    """Measure the share of the evidence inside the box, by kind of decision, and draw the maps.

    Args:
        subject: the bundle.
        films: ``[N, H, W, 1] uint8``.
        rows: their rows of the data set, with a ``label``.
        probability: ``[N]``.
        output: the folder of the picture; None draws none.

    Returns:
        ``cells`` of a map, ``box_share_of_area``, ``blob_share_in_box``, and for right decisions,
        false alarms and missed pneumonias the number of ``films`` and their
        ``mean_share_in_box``.
    """
    chosen = shown_rows(positives(rows), probability, subject.operating_point.threshold)
    called = probability[chosen] >= subject.operating_point.threshold
    right = called == (positives(rows)[chosen] == 1)
    prepared = [subject.prepare(film[:, :, 0]) for film in films[chosen]]
    activation_maps = subject.activation_maps(
        np.concatenate([film.model_input for film in prepared])
    )
    signs = np.where(called, 1, -1)
    shares = np.array(
        [
            share_in_lungs(sign * map_, film.box)
            for sign, map_, film in zip(signs, activation_maps, prepared)
        ]
    )
    if output:
        captions = [
            f"{'right' if right_ else 'wrong'}, label {rows['label'].iloc[row]},\n"
            f"probability {probability[row]:.2f}, {share:.0%} in the box"
            for row, right_, share in zip(chosen, right, shares)
        ]
        canvas = np.stack([box_alone(films.shape[1], film.box) for film in prepared])
        title = f"Where {subject.identity.bundle} looks, validation films; the box holds the lungs"
        figure = draw_films(captions, canvas, activation_maps, title=title, columns=5)
        save_figure(figure, output / "activation_maps.png")
    left, top, box_right, bottom = LUNGS
    kinds = {"right": right, "false alarms": ~right & called, "missed": ~right & ~called}
    return {
        "cells": list(activation_maps.shape[1:]),
        "box_share_of_area": round((box_right - left) * (bottom - top), 4),
        "blob_share_in_box": round(share_in_lungs(blob(activation_maps.shape[1])), 4),
        **{
            name: {"films": int(kind.sum()), "mean_share_in_box": float(shares[kind].mean())}
            for name, kind in kinds.items()
            if kind.any()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("run", type=Path, help="folder of the run it was made from")
    parser.add_argument("--root", type=Path, help="folder of the images, if they were moved")
    parser.add_argument("--output", type=Path, help="folder for behaviour.json and the figure")
    arguments = parser.parse_args()
    try:
        measure(arguments.bundle, arguments.run, arguments.root, arguments.output)
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")


def measure(bundle: Path, run: Path, root: Path | None, output: Path | None) -> None:
    """Measure the bundle and print the result; write it to the output folder where one is given."""
    subject = BundleSubject(Bundle.load(bundle))
    table = read_dataset(run)
    rows = table[table["split"] == "validation"].reset_index(drop=True)
    folder = root or Path(read_run(run).root)
    spec = subject.prepare.spec
    if subject.prepare.locator is not None:  # changes come before the box
        spec = PreprocessSpec(_LARGER * spec.height, _LARGER * spec.width)
    films = np.concatenate(
        [
            preprocess(read_unchanged(folder / path, md5), spec)
            for path, md5 in zip(rows["path"], rows["md5"])
        ]
    )
    probability = predicted(subject, films)
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
