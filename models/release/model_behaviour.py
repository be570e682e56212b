"""Measure what a bundle relies on: how it answers changed validation films, and where it looks.

python models/release/model_behaviour.py BUNDLE RUN MASKS [--root DIR] [--output DIR]

The run in the folder RUN names the validation films; of these the ones are measured whose lungs are
outlined in the folder MASKS. The folder after --output gets behaviour.json and activation_maps.png.
The picture shows maps and outlines without the films, so that it may be published.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.locator import PreparedFilm
from cxr_edge_runtime.preprocess import preprocess
from cxr_edge_train.dataset.class_names import KERMANY
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.metrics import count_decisions
from cxr_edge_train.runs import read_dataset, read_run
from film_changes import CHANGES, Change
from maps_in_lungs import maps
from outlined_films import Films, read_films, shown_of

Probabilities = NDArray[np.float64]


def changed(subject: BundleSubject, films: Films, change: Change) -> Probabilities:
    """Compute the probabilities ``[N]`` of changed films."""
    logits = subject.logits(
        subject.prepare(np.ascontiguousarray(change(film, box, int(label)))).model_input
        for film, box, label in zip(films.pixels, films.lungs, films.labels)
    )
    return subject.operating_point.probabilities(logits)


def behaviour(subject: BundleSubject, films: Films) -> dict[str, Any]:
    """Measure how far probabilities and decisions move with each change of the films.

    Returns:
        For each change ``auc``, ``sensitivity`` and ``specificity`` (with intervals, at the frozen
        threshold), ``mean_probability_shift`` (of the absolute shifts), ``decisions_changed`` (a
        share), and the mean ``shift`` with its sign by label.
    """
    threshold, labels = subject.operating_point.threshold, films.labels
    found: dict[str, Any] = {}
    before: Probabilities | None = None
    for name, change in CHANGES.items():
        after = changed(subject, films, change)
        before = after if before is None else before
        counts = count_decisions(after, labels, threshold=threshold)
        moved = (after >= threshold) != (before >= threshold)
        found[name] = {
            "auc": float(roc_auc_score(labels, after)),
            "sensitivity": asdict(counts.sensitivity),
            "specificity": asdict(counts.specificity),
            "mean_probability_shift": float(np.abs(after - before).mean()),
            "decisions_changed": float(moved.mean()),
            "shift": {
                label: float((after - before)[labels == value].mean())
                for value, label in enumerate(KERMANY)
            },
        }
    return found


def framing(subject: BundleSubject, films: Films, prepared: list[PreparedFilm]) -> dict[str, Any]:
    """Measure what framing tells, and what the locator's errors cost.

    Args:
        subject: the bundle.
        films: the films.
        prepared: the same as the model is shown them.

    Returns:
        ``auc_of_height_in_film`` and ``auc_of_height_in_view``: the AUC of a guess by nothing but
        the share of the height that the lungs fill; and ``decisions_changed_by_true_box``, the
        share of decisions that are others with the box of the outline in place of the locator's,
        None for a bundle without a locator.
    """
    heights = np.array([box.bottom - box.top for box in films.lungs])
    seen = np.array([view.bottom - view.top for view in map(shown_of, prepared)])
    locator, changed_decisions = subject.prepare.locator, None
    if locator is not None:
        inputs = (
            preprocess(film, subject.prepare.spec, box.widened(locator.margin))
            for film, box in zip(films.pixels, films.lungs)
        )
        threshold = subject.operating_point.threshold_logit
        as_shown = subject.logits(film.model_input for film in prepared)
        moved = (subject.logits(inputs) >= threshold) != (as_shown >= threshold)
        changed_decisions = float(moved.mean())
    return {
        "auc_of_height_in_film": float(roc_auc_score(films.labels, heights)),
        "auc_of_height_in_view": float(roc_auc_score(films.labels, heights / seen)),
        "decisions_changed_by_true_box": changed_decisions,
    }


def measure(bundle: Path, run: Path, masks: Path, root: Path | None, output: Path | None) -> None:
    """Measure the bundle and print the result; write it to the output folder where one is given."""
    subject = BundleSubject(Bundle.load(bundle))
    table = read_dataset(run)
    films = read_films(
        table[table["split"] == "validation"], masks, root or Path(read_run(run).root)
    )
    prepared = [subject.prepare(film) for film in films.pixels]
    if output:
        output.mkdir(parents=True, exist_ok=True)
    found = {
        "bundle": subject.identity.bundle,
        "model_sha256": subject.identity.model_sha256,
        "films": {label: int((films.labels == value).sum()) for value, label in enumerate(KERMANY)},
        "changes": behaviour(subject, films),
        "framing": framing(subject, films, prepared),
        "activation_maps": maps(subject, films, prepared, output),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if output:
        write_text(output / "behaviour.json", text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("run", type=Path, help="folder of the run it was made from")
    parser.add_argument("masks", type=Path, help="folder of the lung masks")
    parser.add_argument("--root", type=Path, help="folder of the images, if they were moved")
    parser.add_argument("--output", type=Path, help="folder for behaviour.json and the figure")
    arguments = parser.parse_args()
    try:
        measure(**vars(arguments))
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
