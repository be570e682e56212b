"""How ``bundle-v1`` was made; run once, kept to show it. Later schema versions get their own."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cxr_edge_convert.tflite import tensor_ranges, to_float32, to_int8
from cxr_edge_runtime.bundle import describe_files, write_bundle
from cxr_edge_runtime.manifest import (
    NOTICE,
    Calibration,
    Figure,
    InputEntry,
    Manifest,
    ModelEntry,
    Threshold,
    Training,
)
from cxr_edge_runtime.preprocess import PreprocessSpec
from synthetic import noisy_gradient
from tiny_model import tiny_model

pixels = np.stack([noisy_gradient((32, 32), seed) for seed in range(20)])[..., np.newaxis]
float32 = to_float32(tiny_model())
contents = {
    "model.tflite": to_int8(float32, tensor_ranges(float32, pixels)),
    "MODEL_CARD.md": b"# tiny\n\nRandom weights, for tests.\n",
}
manifest = Manifest(
    schema_version=1,
    name="tiny-int8",
    version="1",
    task="pneumonia on chest X-rays",
    labels=("NORMAL", "PNEUMONIA"),
    positive_label="PNEUMONIA",
    files=describe_files(contents),
    model=ModelEntry("model.tflite", "tflite", "int8"),
    input=InputEntry((1, 32, 32, 1), "int8", 1.0, -128),
    preprocess=PreprocessSpec(32, 32),
    temperature=1.5,
    threshold=Threshold(0.4, "none, random weights", "nothing"),
    gate=None,
    metrics={"validation": {"auc": Figure(0.5, 0.4, 0.6, 10)}},
    calibration=Calibration(20, "min-max over all images", 0, "0" * 64),
    training=Training("tiny", "none", 0, "0" * 64, "", {"python": "3.11"}),
    intended_use="Tests.",
    notice=NOTICE,
    license="Apache-2.0",
)
write_bundle(Path(__file__).parent / "bundle-v1", manifest, contents)
