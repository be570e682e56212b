"""Measure how much of what a bundle goes by lies in the lungs, for model_behaviour.py."""

from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.locator import PreparedFilm
from cxr_edge_runtime.preprocess import Box, preprocess
from cxr_edge_train.dataset.class_names import KERMANY
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.worst_errors import draw_films
from cxr_edge_train.reporting.figures import save_figure
from film_changes import Pixels
from outlined_films import Films, shown_of

SHOWN = 10  # right decisions in the picture, and as many wrong ones


def share_in_lungs(evidence: NDArray[np.floating], mask: Pixels, shown: Box) -> float:
    """Compute the share of the evidence for a decision that lies in the lungs.

    Args:
        evidence: ``[h, w]``, above zero where a cell supports the decision.
        mask: ``[H, W] uint8`` of the whole film, 255 where it shows lung.
        shown: what of the film the evidence covers.

    Returns:
        A share between 0 and 1.
    """
    height, width = mask.shape
    left, top, right, bottom = (
        round(edge * side) for edge, side in zip(astuple(shown), (width, height) * 2)
    )
    positive = Image.fromarray(np.maximum(evidence, 0).astype(np.float32))
    # Without interpolation, which would add ripples.
    enlarged = np.asarray(positive.resize((right - left, bottom - top), Image.Resampling.NEAREST))
    return float(
        (enlarged * (mask[top:bottom, left:right] / 255)).sum() / max(enlarged.sum(), 1e-9)
    )


def blob(cells: tuple[int, int]) -> NDArray[np.floating]:
    """A map that looks at no film: a round blob in the middle, the baseline for a share."""
    rows, columns = (np.linspace(-1, 1, count) for count in cells)
    return np.exp(-2 * (rows[:, np.newaxis] ** 2 + columns**2))


def shown_rows(
    labels: NDArray[np.integer], probability: NDArray[np.float64], threshold: float
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
    subject: BundleSubject, films: Films, prepared: list[PreparedFilm], output: Path | None
) -> dict[str, Any]:
    """Measure the share of the evidence in the lungs, by kind of decision, and draw some maps.

    Args:
        subject: the bundle.
        films: the films.
        prepared: the same as the model is shown them.
        output: the folder of the picture; None draws none.

    Returns:
        ``cells`` of a map; for right decisions, false alarms and missed pneumonias the number of
        ``films`` and the mean share in the lungs of the maps (``maps``), of an ``even`` map and of
        a ``blob`` in the middle of what the model is shown.
    """
    point = subject.operating_point
    probability = point.probabilities(subject.logits(film.model_input for film in prepared))
    called = probability >= point.threshold
    found = subject.activation_maps(np.concatenate([film.model_input for film in prepared]))
    cells = found.shape[1:]
    evidence = {
        "maps": np.where(called, 1, -1)[:, np.newaxis, np.newaxis] * found,
        "even": np.ones_like(found),
        "blob": np.broadcast_to(blob(cells), found.shape),
    }
    shares = {
        name: np.array(
            [
                share_in_lungs(of_film, mask, shown_of(film))
                for of_film, mask, film in zip(each, films.masks, prepared)
            ]
        )
        for name, each in evidence.items()
    }
    right = called == (films.labels == 1)
    if output:
        rows = shown_rows(films.labels, probability, point.threshold)
        captions = [
            f"{'right' if right[row] else 'wrong'}, label {KERMANY[films.labels[row]]},\n"
            f"probability {probability[row]:.2f}, {shares['maps'][row]:.0%} in the lungs"
            for row in rows
        ]
        spec = subject.prepare.spec
        outlines = np.concatenate(
            [preprocess(films.masks[row] // 2, spec, shown_of(prepared[row])) for row in rows]
        )
        title = f"Where {subject.identity.bundle} looks, validation films; grey is lung"
        figure = draw_films(captions, outlines, found[rows], title=title, names=KERMANY, columns=5)
        save_figure(figure, output / "activation_maps.png")
    kinds = {"right": right, "false alarms": ~right & called, "missed": ~right & ~called}
    return {
        "cells": list(cells),
        **{
            kind: {
                "films": int(chosen.sum()),
                **{name: float(each[chosen].mean()) for name, each in shares.items()},
            }
            for kind, chosen in kinds.items()
            if chosen.any()
        },
    }
