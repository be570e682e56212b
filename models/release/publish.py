"""Turn a converted bundle into a shipped one whose card has the figures measured after conversion.

    python models/release/publish.py BUNDLE --run RUN --measured FOLDER --name NAME

FOLDER is what models/release/measure wrote, with the folders test and external_adult that
`evaluate` wrote. The report.json of the conversion lies beside BUNDLE. Model, threshold,
temperature and gate stay as they were verified. The figures are added to manifest and card, and all
that the card is made from is written to docs/results/cards/NAME. The float model goes to
models/float without its optimizer.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from card_figures import READ_ONCE, gathered
from card_sections import shipped_sections
from cxr_edge_convert.bundling.sealing import seal
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import Interval, Manifest
from cxr_edge_runtime.errors import CxrEdgeError, RunError
from cxr_edge_runtime.files import replacing, write_bytes, write_text
from cxr_edge_train.evaluation.run_subject import load_model
from cxr_edge_train.runs import Run, read_run

MODELS = Path(__file__).resolve().parents[1]
RESULTS = MODELS.parent / "docs" / "results"


def check_run(bundle: Bundle, run: Run) -> None:
    """Refuse a run that the bundle was not made from.

    Raises:
        RunError: the data set, the threshold or the temperature differs.
    """
    manifest, point = bundle.manifest, run.operating_point
    stated = (manifest.training.dataset_digest, manifest.threshold.value, manifest.temperature)
    if stated != (run.dataset_digest, point.threshold, point.temperature):
        raise RunError(f"{bundle.path}: was not made from this run")


def shipped_manifest(manifest: Manifest, name: str, figures: Mapping[str, Any]) -> Manifest:
    """Add the name and the figures of the splits that are read once to the manifest."""
    metrics = {
        split: {key: Interval(**figure) for key, figure in figures[split]["metrics"].items()}
        for split in READ_ONCE
    }
    return replace(manifest, name=name, metrics=manifest.metrics | metrics)


def publish(bundle: Bundle, manifest: Manifest, figures: Mapping[str, Any], target: Path) -> None:
    """Write a shipped bundle to ``target``; a bundle there stays until the new one is whole.

    Args:
        bundle: whose files are taken.
        manifest: the shipped manifest; the digests of the files are computed anew.
        figures: what :func:`card_figures.gathered` returned.
        target: folder of the shipped bundle, named as the manifest is.
    """
    replaced = target.with_name(f"{target.name}.replaced")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        staging = Path(folder) / "new"
        contents = {name: bundle.read(name) for name in bundle.manifest.files}
        seal(staging, manifest, contents, more=shipped_sections(manifest.name, figures))
        if target.exists():
            target.rename(replaced)
        staging.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def save_float(model: keras.Model, file: Path) -> None:
    """Save a model without optimizer, unless the file holds it already.

    A ``.keras`` file contains the time of its writing, so saving again would change it in git.
    """
    if file.exists():
        weights = keras.models.load_model(file, compile=False).get_weights()
        if len(weights) == len(model.get_weights()) and all(
            map(np.array_equal, weights, model.get_weights())
        ):
            return
    with replacing(file) as temporary:
        model.save(temporary)


def main() -> None:
    """Publish one bundle; everything is read before anything is written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--measured", type=Path, required=True)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    check_run(bundle, read_run(arguments.run))
    log = (RESULTS / "test-log.jsonl").read_text(encoding="utf-8").splitlines()
    figures = gathered(bundle, arguments.run, arguments.measured, log)
    pictures = {
        "calibration.png": arguments.measured / "test" / "figures" / "reliability.png",
        "activation_maps.png": arguments.measured / "behaviour" / "activation_maps.png",
    }
    drawn = {name: file.read_bytes() for name, file in pictures.items()}
    model = load_model(arguments.run)
    manifest = shipped_manifest(bundle.manifest, arguments.name, figures)
    publish(bundle, manifest, figures, MODELS / "cxr_edge_models" / arguments.name)
    cards = RESULTS / "cards" / arguments.name
    cards.mkdir(parents=True, exist_ok=True)
    write_text(cards / "figures.json", json.dumps(figures, indent=2) + "\n")
    for name, content in drawn.items():
        write_bytes(cards / name, content)
    save_float(model, MODELS / "float" / f"{arguments.name.split('-')[0]}.keras")


if __name__ == "__main__":
    try:
        main()
    except (CxrEdgeError, OSError) as error:
        sys.exit(f"error: {error}")
