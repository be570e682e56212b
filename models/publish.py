"""Turn a converted bundle into a shipped one: add what was measured after conversion to its card.

    python models/publish.py BUNDLE --run RUN --test-log docs/results/test-log.jsonl --parity FILE

Model, threshold and temperature stay as they were verified; the manifest gains the test figures,
the card gains them too, with the data set's licence and limits. The float model goes to
models/float without its optimizer.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cxr_edge_convert.packaging import seal
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.files import replacing
from cxr_edge_runtime.manifest import Figure
from cxr_edge_train.runs import Run, read_run

MODELS = Path(__file__).resolve().parent


def only_reading(log: Path, model_sha256: str) -> dict[str, Any]:
    """The entry of the test log for a model.

    Raises:
        RunError: the model was never measured on test, or more than once.
    """
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    of_model: list[dict[str, Any]] = [e for e in entries if e["model_sha256"] == model_sha256]
    if not of_model:
        raise RunError(f"{log}: no reading of this model; run cxr-edge evaluate --split test")
    if len(of_model) > 1:
        raise RunError(f"{log}: {len(of_model)} readings of this model; test is read once")
    return of_model[0]


def check_run(bundle: Bundle, run: Run) -> None:
    """Refuse a run that the bundle was not made from.

    Raises:
        RunError: data set, threshold or temperature differ.
    """
    manifest = bundle.manifest
    stated = (
        manifest.training.dataset_digest, manifest.threshold.value, manifest.temperature,
    )  # fmt: skip
    if stated != (run.dataset_digest, run.threshold, run.temperature):
        raise RunError(f"{bundle.path}: was not made from this run")


def parity_section(parity: dict[str, Any]) -> str:
    """The card's section on full-resolution originals."""
    return f"""
## Full-resolution originals

Users bring originals, training had 224 px copies. On {parity["images"]} originals of training films
the decision equals the one on the copy of the same name for **{parity["same_decision"]}**; the
probability moves by {parity["mean_probability_shift"]} on average and by
{parity["largest_probability_shift"]} at most.
"""


def card_sections(reading: dict[str, Any], parity: dict[str, Any]) -> str:
    """What the card of a shipped bundle says beyond the card of a converted one."""
    normals = reading["metrics"]["specificity"]["n"]
    return (
        f"\n## Test\n\nThe test images were read once for this model, on {reading['date']};\n"
        "the reading is in docs/results/test-log.jsonl of the repository.\n"
        f"With {normals} normal films the specificity is known no better than its interval says.\n"
        + parity_section(parity)
        + (MODELS / "kermany.md").read_text(encoding="utf-8")
    )


def publish(bundle: Bundle, reading: dict[str, Any], parity: dict[str, Any], target: Path) -> None:
    """Write the shipped bundle, replacing what lies at ``target``.

    Raises:
        RunError: the reading or the parity figures are not of this bundle.
    """
    if reading["threshold"] != bundle.manifest.threshold.value:
        raise RunError("the test reading was made at another threshold")
    if parity["model_sha256"] != reading["model_sha256"]:
        raise RunError("the parity figures are of another model")
    # Readings of the first version have fewer figures than conversion writes today.
    figures = {
        name: Figure(**reading["metrics"][name])
        for name in bundle.manifest.metrics["validation"]
        if name in reading["metrics"]
    }
    manifest = replace(bundle.manifest, metrics=bundle.manifest.metrics | {"test": figures})
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        staging = Path(folder) / target.name
        contents = {name: bundle.read(name) for name in manifest.files}
        seal(staging, manifest, contents, more_card=card_sections(reading, parity))
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)


def save_float(model: keras.Model, file: Path) -> None:
    """Save a model without optimizer, unless the file holds it already.

    A ``.keras`` file carries the time it was written, so saving again would change it in git.
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
    """Publish one bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--test-log", type=Path, required=True)
    parser.add_argument("--parity", type=Path, required=True)
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    check_run(bundle, read_run(arguments.run))
    name = bundle.manifest.name
    sha256 = bundle.manifest.files[bundle.manifest.model.file].sha256
    parity = json.loads(arguments.parity.read_text(encoding="utf-8"))
    publish(
        bundle,
        only_reading(arguments.test_log, sha256),
        parity,
        MODELS / "cxr_edge_models" / name,
    )
    save_float(
        keras.models.load_model(arguments.run / "model.keras", compile=False),
        MODELS / "float" / f"{bundle.manifest.training.architecture}.keras",
    )


if __name__ == "__main__":
    main()
