"""What a bundle goes by: validation films changed in ways that no pneumonia changes, and its maps.

python benchmarks/model_behaviour.py BUNDLE RUN [--root DIR] [--output DIR]

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

from cxr_edge.bundles import load_bundle
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.preprocess import preprocess
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.metrics import positives
from cxr_edge_train.evaluation.temperature import probabilities
from cxr_edge_train.evaluation.worst_errors import draw_films
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.runs import read_run

Pixels = NDArray[np.uint8]

_CORNER, _BORDER, _STRETCH, _QUALITY = 0.2, 0.1, 1.25, 50
# Left, top, right and bottom of the box that holds the lungs of nearly every film of this set.
LUNGS = (0.08, 0.10, 0.92, 0.82)
SHOWN = 10


def as_jpeg(film: Pixels) -> Pixels:
    """All films at one quality."""
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(buffer))


def stretched(film: Pixels) -> Pixels:
    """A quarter wider, its sides cut off."""
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
    """A tenth of each side black along every border."""
    height, width = (int(_BORDER * side) for side in film.shape)
    changed = np.zeros_like(film)
    changed[height:-height, width:-width] = film[height:-height, width:-width]
    return changed


def inverted(film: Pixels) -> Pixels:
    """Black and white turned round."""
    return 255 - film


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    f"all as JPEG of quality {_QUALITY}": as_jpeg,
    "a quarter wider": stretched,
    "corners blacked out": without_corners,
    "borders blacked out": without_borders,
    "inverted": inverted,
}


def share_in_lungs(activation_map: NDArray[np.floating]) -> float:
    """The share of what speaks for the answer that lies inside :data:`LUNGS`.

    Args:
        activation_map: ``[h, w]``, above zero where it speaks for the answer: the ``cam`` output
            for PNEUMONIA, its negative for NORMAL. Enlarged so that the box cuts cells.
    """
    side = 100
    enlarged = np.asarray(
        Image.fromarray(np.maximum(activation_map, 0).astype(np.float32)).resize((side, side))
    )
    left, top, right, bottom = (round(side * edge) for edge in LUNGS)
    return float(enlarged[top:bottom, left:right].sum() / max(enlarged.sum(), 1e-9))


def shortcuts(subject: BundleSubject, films: Pixels, labels: NDArray[np.integer]) -> dict[str, Any]:
    """How far probabilities and decisions move with each change.

    Args:
        subject: the bundle.
        films: ``[N, H, W, 1]``.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
    """

    def of(images: Pixels) -> NDArray[np.float64]:
        logits = subject.logits(image[np.newaxis] for image in images)
        return probabilities(logits, subject.temperature)

    before = of(films)
    found = {"unchanged": {"auc": round(float(roc_auc_score(labels, before)), 4)}}
    for name, change in CHANGES.items():
        after = of(np.stack([change(film[:, :, 0])[:, :, np.newaxis] for film in films]))
        moved = np.abs(after - before)
        flipped = (after >= subject.threshold) != (before >= subject.threshold)
        found[name] = {
            "mean_probability_shift": round(float(moved.mean()), 4),
            "decisions_changed": round(float(flipped.mean()), 4),
            "auc": round(float(roc_auc_score(labels, after)), 4),
        }
    return found


def box_alone(side: int) -> Pixels:
    """A black film ``[side, side, 1]`` with the outline of :data:`LUNGS` in white."""
    film = Image.new("L", (side, side))
    ImageDraw.Draw(film).rectangle([round(side * edge) for edge in LUNGS], outline=255)
    return np.asarray(film)[..., np.newaxis]


def shown_rows(wrong: NDArray[np.bool_], probability: NDArray[np.floating]) -> NDArray[np.intp]:
    """Ten right decisions drawn at random and the ten furthest wrong ones.

    Args:
        wrong: ``[N]``.
        probability: ``[N]``.
    """
    right = np.flatnonzero(~wrong)
    drawn = np.random.default_rng(0).choice(right, size=min(SHOWN, len(right)), replace=False)
    worst = np.flatnonzero(wrong)
    worst = worst[np.argsort(-np.abs(probability[worst] - 0.5), kind="stable")][:SHOWN]
    return np.concatenate([np.sort(drawn), worst])


def maps(
    subject: BundleSubject, films: Pixels, rows: pd.DataFrame, output: Path | None
) -> dict[str, Any]:
    """The share of what speaks for the answer in the lungs' box, right and wrong ones apart."""
    probability = probabilities(
        subject.logits(film[np.newaxis] for film in films), subject.temperature
    )
    wrong = (probability >= subject.threshold) != (positives(rows) == 1)
    chosen = shown_rows(wrong, probability)
    activation_maps = subject.activation_maps(films[chosen])
    called = np.where(probability[chosen] >= subject.threshold, 1, -1)
    shares = [share_in_lungs(sign * map_) for sign, map_ in zip(called, activation_maps)]
    if output:
        captions = [
            f"{'wrong' if wrong[row] else 'right'}: {rows['label'].iloc[row]}, "
            f"{probability[row]:.2f}\n{share:.0%} in the box"
            for row, share in zip(chosen, shares)
        ]
        canvas = np.stack([box_alone(films.shape[1])] * len(chosen))
        figure = draw_films(captions, canvas, activation_maps, title="Where it looks")
        save_figure(figure, output / "activation_maps.png")
    left, top, right, bottom = LUNGS
    return {
        "box_share_of_area": round((right - left) * (bottom - top), 4),
        **{
            name: {
                "films": int(kind.sum()),
                "mean_share_in_box": round(float(np.mean(np.array(shares)[kind])), 4),
            }
            for name, kind in (("right", ~wrong[chosen]), ("wrong", wrong[chosen]))
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
    subject = BundleSubject(load_bundle(arguments.bundle))
    table = pd.read_csv(arguments.run / "dataset.csv")
    rows = table[table["split"] == "validation"].reset_index(drop=True)
    root = arguments.root or Path(read_run(arguments.run).root)
    films = np.concatenate(
        [
            preprocess(read_unchanged(root / path, md5), subject.preprocess)
            for path, md5 in zip(rows["path"], rows["md5"])
        ]
    )
    found = {
        "bundle": subject.identity.bundle,
        "model_sha256": subject.identity.model_sha256,
        "films": len(rows),
        "shortcuts": shortcuts(subject, films, positives(rows)),
        "activation_maps": maps(subject, films, rows, arguments.output),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.output:
        write_text(arguments.output / "behaviour.json", text + "\n")


if __name__ == "__main__":
    main()
